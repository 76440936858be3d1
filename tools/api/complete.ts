import type { Doc, Item, Member, Surface } from './surface.ts';

/** What is missing in the comments of what is exported, a line each. */
export function missing({ subpaths }: Surface): string[] {
  const items = new Map(
    subpaths
      .flatMap(({ name, items }) => items.filter(item => item.home === name))
      .map(item => [item, item.home]),
  );
  return [...items].flatMap(([item, home]) => [
    ...lacks(item).map(lack => `${home} ${item.name}: ${lack}`),
    ...item.members.flatMap(member =>
      lacksOf(member, item).map(lack => `${home} ${item.name}.${member.name}: ${lack}`),
    ),
  ]);
}

function lacks({ doc, kind, parameters }: Item): string[] {
  if (doc?.tags.has('deprecated')) return [];
  if (!isSentence(doc)) return ['a sentence'];
  const throws = doc.tags.has('throws') || /\bnever throws\b/i.test(doc.text);
  return kind === 'function' && parameters > 0 && !throws ? ['`@throws`, or that it never throws'] : [];
}

function lacksOf({ name, optional, type, doc, declared }: Member, item: Item): string[] {
  // What a language asks of an iterator, and what is there for types only.
  if (/^[[#]/.test(name) || (item.kind === 'class' && name === 'name')) return [];
  const whole = [doc?.text, ...(doc?.tags.get('default') ?? [])].join(' ');
  const found: string[] = [];
  if (name !== 'constructor' && !isSentence(doc)) found.push('a sentence');
  if (/Ms$/.test(name) && !/millisecond/i.test(whole)) found.push('its unit, milliseconds');
  if (/Bytes$/.test(name) && !/\bbytes?\b/i.test(whole)) found.push('its unit, bytes');
  if (!/Options$/.test(item.name) || !optional) return found;
  const counts = /\bnumber\b/.test(type) && !declared.includes('=>') && !/[{]|\b(Date|unknown)\b/.test(type);
  if (counts && !/Minimum|\bfrom \S+ to\b|\bBetween\b/i.test(whole)) found.push('its minimum, or its range');
  const simple = /^(number|boolean|string|'[^']*'|false|true|\s|\|)+$/.test(type);
  if (simple && !doc?.tags.has('default') && !/\b(unless|without|needs|else)\b/i.test(whole))
    found.push('`@default`, or what it is without');
  return found;
}

function isSentence(doc: Doc | undefined): doc is Doc {
  return doc !== undefined && /^[A-Z`'"0-9][\s\S]*?[.:?](\s|$)/.test(doc.text);
}
