import type { LogEntry } from '../proto/generated/streamservice/LogEntry.ts';
import { CUT } from './log-lines.ts';

export const LEVELS = ['debug', 'info', 'warn', 'error'];

/** What an entry may hold: a message of 4 MiB is the most that a client takes unless it says otherwise. */
const MAX_BYTES = 4_000_000;
/** What a field costs beside its name and value, at most. */
const FIELD_BYTES = 16;

/** What is no field of its own. */
const OWN = new Set(['time', 'level', 'msg', 'service']);

/** The entry of a line; `undefined` for one that is none. What does not fit is cut, and marked where it was. */
export function entryOf(line: string): LogEntry | undefined {
  try {
    const all = JSON.parse(line.endsWith(CUT) ? closed(line) : line);
    const { time, msg, service } = all;
    const level = all.level === 'fatal' ? 'error' : all.level;
    if (!isTime(time) || !LEVELS.includes(level)) return;
    const room = new Room();
    const seconds = Math.floor(time / 1000);
    const entry = {
      timestamp: { seconds, nanos: (time - seconds * 1000) * 1e6 },
      level,
      service: room.fit(service ?? ''),
      message: room.fit(msg ?? ''),
    };
    const names = Object.keys(all).filter(name => !OWN.has(name));
    const fields: [string, string][] = [];
    for (const name of names) {
      if (!room.take(Buffer.byteLength(name) + FIELD_BYTES)) break;
      fields.push([name.toWellFormed(), room.fit(all[name])]);
    }
    const cut = names.length - fields.length;
    if (cut > 0) fields.push(['…', `${cut} fields cut`]);
    return { ...entry, fields: Object.fromEntries(fields) };
  } catch {
    return undefined;
  }
}

/** What a Timestamp can hold: milliseconds from the year 1 to the year 9999. */
function isTime(time: unknown): time is number {
  return Number.isInteger(time) && Number(time) >= -62_135_596_800_000 && Number(time) < 253_402_300_800_000;
}

/** The room that is left in an entry. */
class Room {
  private left = MAX_BYTES;

  take(bytes: number): boolean {
    if (bytes > this.left) return false;
    this.left -= bytes;
    return true;
  }

  /** A value as text, as much of it as there is room for. */
  fit(value: unknown): string {
    const text = (typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed();
    if (this.take(Buffer.byteLength(text))) return text;
    const bytes = Buffer.from(text).subarray(0, this.left);
    this.left = 0;
    return new TextDecoder().decode(bytes, { stream: true }) + CUT;
  }
}

/** An object of the beginning of one: a text that was cut ends there, any other value is left out. */
function closed(line: string): string {
  const json = line.slice(0, -CUT.length);
  let depth = 0;
  let comma = 0;
  let isValue = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      const end = endOfText(json, at + 1);
      if (end.whole) at = end.at;
      else if (isValue && depth === 1) return `${json.slice(0, end.at)}${CUT}"}`;
      else break;
    } else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    else if (char === ',' && depth === 1) comma = at;
    if (depth === 1 && (char === ',' || char === ':')) isValue = char === ':';
  }
  return `${json.slice(0, comma)},"…":"cut"}`;
}

/** Where the quote is that ends a text; or the last place between two characters, when there is none. */
function endOfText(json: string, from: number): { at: number; whole: boolean } {
  let at = from;
  while (at < json.length && json[at] !== '"') {
    const length = json[at] !== '\\' ? 1 : json[at + 1] === 'u' ? 6 : 2;
    if (at + length > json.length) return { at, whole: false };
    at += length;
  }
  return { at, whole: at < json.length };
}
