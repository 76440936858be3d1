import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { LogFile } from '../../examples/log-file.ts';
import { LogPlace } from '../../examples/log-place.ts';
import { tailLogs } from '../../examples/tail.ts';
import { all, closeClients, serveStreams, watch } from '../support/examples.ts';
import { stopAll, turn, until } from '../support/harness.ts';
import { readOne } from '../support/served.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'];

/** Numbers in short: `0-9,11-20`. */
function runs(numbers: number[]): string {
  const found: [number, number][] = [];
  for (const n of numbers) {
    const last = found.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else found.push([n, n]);
  }
  return found.map(([from, to]) => `${from}-${to}`).join(',');
}

describe('examples: TailLogs', function () {
  this.timeout(60_000); // megabytes are read, which takes a busy machine its time
  let directory: string;
  let path: string;
  let written = 0;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tail-spec-'));
    path = join(directory, 'service.log');
    written = 0;
  });

  afterEach(async () => {
    closeClients();
    await stopAll();
    rmSync(directory, { recursive: true });
  });

  const serve = () => serveStreams({ tailLogs: tailLogs(path) });
  const line = (n: number) => {
    const [service, level] = [['api', 'worker'][n % 2], LEVELS[n % 4]];
    return `${JSON.stringify({ level, time: 1_700_000_000_000 + n, service, msg: `${n}` })}\n`;
  };
  const write = (count: number) => {
    let text = '';
    for (let i = 0; i < count; i++) text += line(written++);
    appendFileSync(path, text);
  };
  const numbers = (messages: { message: string }[]) => messages.map(({ message }) => Number(message));
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
  /** Open files in the directory of the log. */
  const handles = () =>
    readdirSync('/proc/self/fd').filter(fd => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
      } catch {
        return false;
      }
    });

  /** A moment in which the clock of a file system goes on. */
  const tick = () => new Promise(resolve => setTimeout(resolve, 10));
  /** What is no log that was rotated, though its name begins like the log's. */
  const putOthersBeside = () => {
    for (const end of [
      '-audit',
      '.audit',
      '.bak',
      '~',
      '.lock',
      '.1.gz',
      '.1~',
      '.1.tmp',
      '.swp',
      '2',
      '.v2',
    ])
      writeFileSync(`${path}${end}`, line(9000));
    for (const end of ['-archive', '.d', '.7']) mkdirSync(`${path}${end}`);
    writeFileSync(`${path}.d/${'service.log'}.1`, line(9000));
    execFileSync('mkfifo', [`${path}.6`]);
    symlinkSync(`${path}.5`, `${path}.5`);
    symlinkSync(`${path}.nowhere`, `${path}.4`);
  };
  const last = async (lines = 100) => {
    const client = await serve();
    const { messages, code } = await all(client.tailLogs({ lines }));
    expect(code).to.equal(status.OK);
    return messages;
  };

  describe('history', () => {
    it('sends the last lines, oldest first, then OK', async () => {
      write(50);
      const client = await serve();
      const { messages, code, header, trailer } = await all(client.tailLogs({ lines: 10 }));
      expect(code).to.equal(status.OK);
      expect(header).to.not.equal(undefined);
      expect(trailer.getMap()).to.deep.equal({});
      expect(numbers(messages)).to.deep.equal(range(40, 50));
    });

    it('sends the whole entry', async () => {
      const entry = {
        level: 'warn',
        time: 1_700_000_000_123,
        service: 'api',
        msg: 'slow é',
        ms: 5,
        a: { b: [1] },
      };
      writeFileSync(path, `${JSON.stringify({ ...entry, user: 'x' })}\n`);
      const client = await serve();
      const { messages } = await all(client.tailLogs({ serviceName: 'api', lines: 1 }));
      expect(messages).to.deep.equal([
        {
          timestamp: { seconds: '1700000000', nanos: 123_000_000 },
          level: 'warn',
          message: 'slow é',
          service: 'api',
          fields: { ms: '5', a: '{"b":[1]}', user: 'x' },
        },
      ]);
    });

    it('counts only the lines of the service, at or above the level', async () => {
      write(100);
      const client = await serve();
      const { messages } = await all(client.tailLogs({ serviceName: 'worker', logLevel: 'warn', lines: 5 }));
      expect(numbers(messages)).to.deep.equal([83, 87, 91, 95, 99]);
      expect(new Set(messages.map(({ level }) => level))).to.deep.equal(new Set(['error']));
    });

    for (const [i, logLevel] of LEVELS.entries())
      it(`takes the level ${logLevel}`, async () => {
        write(40);
        const client = await serve();
        const { messages } = await all(client.tailLogs({ logLevel, lines: 100 }));
        expect(numbers(messages)).to.deep.equal(range(0, 40).filter(n => n % 4 >= i));
      });

    for (const logLevel of ['trace', 'INFO', 'warning', ' info'])
      it(`refuses the level '${logLevel}'`, async () => {
        const client = await serve();
        const { messages, code, details } = await all(client.tailLogs({ logLevel, lines: 1, follow: true }));
        expect({ code, details, messages }).to.deep.equal({
          code: status.INVALID_ARGUMENT,
          details: 'invalid log level',
          messages: [],
        });
      });

    for (const lines of [0, -1, -(2 ** 31)])
      it(`sends none for ${lines} lines`, async () => {
        write(20);
        const client = await serve();
        const { messages, code } = await all(client.tailLogs({ lines }));
        expect({ messages, code }).to.deep.equal({ messages: [], code: status.OK });
      });

    it('sends what there is for more lines than there are, and 10,000 at most', async () => {
      write(20);
      const client = await serve();
      expect((await all(client.tailLogs({ lines: 2 ** 31 - 1 }))).messages).to.have.length(20);
      write(10_000);
      const { messages } = await all(client.tailLogs({ lines: 2 ** 31 - 1 }));
      expect(numbers(messages)).to.deep.equal(range(20, 10_020));
    });

    it('is empty for a service that is not known, and for a file that is not there', async () => {
      write(20);
      const client = await serve();
      const unknown = await all(client.tailLogs({ serviceName: '../../etc/passwd', lines: 10 }));
      expect(unknown).to.deep.include({ messages: [], code: status.OK });
      unlinkSync(path);
      expect(await all(client.tailLogs({ lines: 10 }))).to.deep.include({ messages: [], code: status.OK });
    });

    it('leaves out lines that are no entries, and one that is not complete', async () => {
      write(2);
      appendFileSync(
        path,
        `\nnot json\n[1]\nnull\n{"level":"loud","time":1}\n{"level":"info"}\n{"level":{},"time":1}\n`,
      );
      write(1);
      appendFileSync(path, line(99).slice(0, 20));
      const client = await serve();
      const { messages } = await all(client.tailLogs({ lines: 10 }));
      expect(numbers(messages)).to.deep.equal([0, 1, 2]);
    });

    for (const end of [
      '.1',
      '.old',
      '-20261126',
      '.2026-11-26',
      '.2026-11-26_10-15',
      '-20261126-1700000000',
      '.2026-11-26.1',
      '.2026-11-26T10:15:00Z',
    ])
      it(`goes on in service.log${end}`, async () => {
        write(2);
        renameSync(path, `${path}${end}`);
        await tick();
        write(2);
        expect(numbers(await last())).to.deep.equal(range(0, 4));
      });

    it('leaves other files and folders alone whose names begin alike', async () => {
      putOthersBeside();
      write(3);
      expect(numbers(await last())).to.deep.equal(range(0, 3));
    });

    for (const link of [linkSync, symlinkSync])
      it(`takes a file and its ${link === linkSync ? 'second name' : 'link'} for one`, async () => {
        write(2);
        renameSync(path, `${path}-2026`);
        link(`${path}-2026`, path);
        link(`${path}-2026`, `${path}.1`);
        expect(numbers(await last())).to.deep.equal(range(0, 2));
      });

    it('does not take a copy of the log for what was before it', async () => {
      write(40);
      await tick();
      copyFileSync(path, `${path}.1`);
      write(2);
      expect(numbers(await last())).to.deep.equal(range(0, 42));
    });

    it('takes what is no part of a line for none: a byte order mark, NULs, CR', async () => {
      const text = `\uFEFF${line(0)}${'\0'.repeat(300_000)}${line(1)}${line(2).replace('\n', '\r\n')}`;
      writeFileSync(path, `${text}\0\0\uFEFF${line(3)}`);
      expect(numbers(await last())).to.deep.equal([0, 1, 2, 3]);
    });

    it('replaces what is no text', async () => {
      const start = Buffer.from('{"level":"info","time":-1,"msg":"a');
      writeFileSync(
        path,
        Buffer.concat([start, Buffer.from([0xff]), Buffer.from('\\ud800z","\\ud800":1}\n')]),
      );
      const [entry] = await last();
      expect(entry).to.deep.include({ message: 'a\uFFFD\uFFFDz', fields: { '\uFFFD': '1' } });
      expect(entry?.timestamp).to.deep.equal({ seconds: '-1', nanos: 999_000_000 });
    });

    it('takes a time that no Timestamp can hold for no entry', async () => {
      writeFileSync(path, '{"level":"info","time":253402300800000}\n{"level":"info","time":1.5}\n');
      expect(await last()).to.deep.equal([]);
    });

    it('takes the last line of a rotated file, with or without an end', async () => {
      writeFileSync(`${path}.1`, line(0) + line(1).trimEnd());
      await tick();
      writeFileSync(path, line(2));
      expect(numbers(await last())).to.deep.equal([0, 1, 2]);
    });

    it('goes on in rotated files', async () => {
      write(10);
      renameSync(path, `${path}.2`);
      await new Promise(resolve => setTimeout(resolve, 10));
      write(10);
      renameSync(path, `${path}.1`);
      write(3);
      const client = await serve();
      expect(numbers((await all(client.tailLogs({ lines: 20 }))).messages)).to.deep.equal(range(3, 23));
    });
  });

  describe('follow', () => {
    const follow = async (lines = 0) => {
      const client = await serve();
      const watched = watch(client.tailLogs({ lines, follow: true }));
      await new Promise<void>(resolve => watched.stream.once('metadata', () => resolve()));
      return watched;
    };
    const arrives = async (messages: { message: string }[], expected: number[]) => {
      await until('all of it is here', () => messages.length >= expected.length, 5000);
      expect(runs(numbers(messages))).to.equal(runs(expected));
    };

    it('sends history, then what is written', async () => {
      write(10);
      const { messages } = await follow(5);
      await until('history is here', () => messages.length === 5);
      write(3);
      await arrives(messages, range(5, 13));
    });

    it('waits for the rest of a line', async () => {
      write(1);
      const { messages } = await follow(1);
      await until('history is here', () => messages.length === 1);
      appendFileSync(path, line(1).slice(0, 20));
      await new Promise(resolve => setTimeout(resolve, 20));
      appendFileSync(path, line(1).slice(20));
      await arrives(messages, [0, 1]);
    });

    it('begins when the file does', async () => {
      const { messages } = await follow(5);
      write(3);
      await arrives(messages, range(0, 3));
    });

    it('leaves other files and folders alone whose names begin alike', async () => {
      write(2);
      const { messages } = await follow(5);
      await until('history is here', () => messages.length === 2);
      putOthersBeside();
      copyFileSync(path, `${path}.8`);
      write(2);
      renameSync(path, `${path}.1`);
      await tick();
      write(2);
      await arrives(messages, range(0, 6));
    });

    it('follows a link from one dated file to the next', async () => {
      const dated = (day: number) => {
        const file = `${path}-2026112${day}`;
        writeFileSync(file, '');
        symlinkSync(file, `${path}.new`);
        renameSync(`${path}.new`, path);
      };
      dated(1);
      write(3);
      const { messages } = await follow(5);
      await until('history is here', () => messages.length === 3);
      for (let day = 2; day < 6; day++) {
        await tick();
        dated(day);
        write(3);
      }
      await arrives(messages, range(0, 15));
    });

    it('goes on with a writer that keeps its place in a file that was emptied', async () => {
      const fd = openSync(path, 'w');
      const put = () => writeSync(fd, line(written++));
      put();
      put();
      const { messages } = await follow(5);
      await until('history is here', () => messages.length === 2);
      for (let n = 1; n < 4; n++) {
        put();
        copyFileSync(path, `${path}.${n}`);
        truncateSync(path);
        put();
        await until('it is here', () => messages.length === 2 * n + 2, 5000);
      }
      put();
      await arrives(messages, range(0, 9));
      closeSync(fd);
      expect(numbers(await last(3))).to.deep.equal([6, 7, 8]);
    });

    it('joins a line that was half written when the file was copied and emptied', async () => {
      write(2);
      const { messages } = await follow(5);
      appendFileSync(path, line(2).slice(0, 20));
      await until('history is here', () => messages.length === 2);
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
      appendFileSync(path, line(2).slice(20) + line(3));
      await arrives(messages, range(0, 4));
    });

    it('forgets a line that was never finished, and takes one without an end in a file that is left', async () => {
      write(1);
      const { messages } = await follow(5);
      await arrives(messages, [0]);
      appendFileSync(path, line(99).slice(0, 20));
      copyFileSync(path, `${path}.1`);
      truncateSync(path);
      appendFileSync(path, line(1) + line(2).trimEnd());
      await arrives(messages, [0, 1]);
      renameSync(path, `${path}.2`);
      writeFileSync(path, line(3));
      await arrives(messages, [0, 1, 2, 3]);
    });

    it('reads a file that was renamed to its end, also when it is written to afterwards', async () => {
      write(5);
      const { messages } = await follow();
      write(5);
      renameSync(path, `${path}.old`);
      appendFileSync(`${path}.old`, line(written++));
      writeFileSync(path, '');
      appendFileSync(`${path}.old`, line(written++));
      await new Promise(resolve => setTimeout(resolve, 20));
      write(5);
      await arrives(messages, range(5, 17));
    });

    it('reads a file that was removed to its end', async () => {
      write(5);
      const { messages } = await follow();
      write(5);
      unlinkSync(path);
      write(5);
      await arrives(messages, range(5, 15));
    });

    it('begins again in a file that was emptied', async () => {
      write(50);
      const { messages } = await follow(50);
      await until('history is here', () => messages.length === 50);
      truncateSync(path);
      write(5);
      await arrives(messages, range(0, 55));
    });

    it('notices that a file was emptied when it has grown beyond again', async () => {
      write(5);
      const { messages } = await follow(5);
      await until('history is here', () => messages.length === 5);
      truncateSync(path);
      write(50);
      await arrives(messages, range(0, 55));
    });

    it('notices that a file was emptied when it has grown to the same size again', async () => {
      write(4);
      const { messages } = await follow(4);
      await until('history is here', () => messages.length === 4);
      const { size } = statSync(path);
      await tick();
      truncateSync(path);
      write(4);
      expect(statSync(path).size).to.equal(size);
      await arrives(messages, range(0, 8));
    });

    it('goes on in the copies of a file that was copied and emptied', async () => {
      write(5);
      const { messages } = await follow(5);
      await until('history is here', () => messages.length === 5);
      for (let n = 1; n <= 3; n++) {
        write(10);
        copyFileSync(path, `${path}.${n}`);
        truncateSync(path);
        await new Promise(resolve => setTimeout(resolve, 10));
      }
      write(10);
      await arrives(messages, range(0, 45));
    });

    for (const how of ['renaming', 'copying'])
      it(`loses and repeats nothing of 10,000 lines under 20 rotations by ${how}`, async () => {
        write(500);
        const client = await serve();
        const first = watch(client.tailLogs({ lines: 100, follow: true }));
        const watched = [first];
        await new Promise(resolve => first.stream.once('metadata', resolve));
        for (let rotation = 0; rotation < 20; rotation++) {
          for (let i = 0; i < 25; i++) {
            write(20);
            await turn();
            if (how === 'renaming' && rotation % 5 === 0 && i === 12)
              watched.push(watch(client.tailLogs({ lines: 100, follow: true })));
          }
          for (let n = rotation; n > 0; n--) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
          if (how === 'renaming') renameSync(path, `${path}.1`);
          else {
            copyFileSync(path, `${path}.1`);
            truncateSync(path);
          }
          await new Promise(resolve => setTimeout(resolve, 5));
        }
        write(20);
        for (const { messages } of watched) {
          await until('the last line is here', () => Number(messages.at(-1)?.message) === written - 1, 9000);
          expect(runs(numbers(messages))).to.equal(`${numbers(messages)[0]}-${written - 1}`);
        }
        expect(first.messages.length).to.be.greaterThan(10_000);
      });

    it('serves a slow client from the file, at its pace', async () => {
      write(10);
      const client = await serve();
      const { stream, ended, messages } = watch(client.tailLogs({ lines: 10, follow: true }), {
        paused: true,
      });
      messages.push(await readOne(stream));
      for (let rotation = 1; rotation <= 5; rotation++) {
        write(2000);
        for (let n = rotation - 1; n > 0; n--) renameSync(`${path}.${n}`, `${path}.${n + 1}`);
        renameSync(path, `${path}.1`);
        await new Promise(resolve => setTimeout(resolve, 10));
      }
      write(10);
      stream.on('data', message => messages.push(message));
      stream.resume();
      await arrives(messages, range(0, 10_020));
      stream.cancel();
      await ended;
    });

    it('leaves no file open within 50 ms of a cancel', async () => {
      write(1000);
      const { stream, ended, messages } = await follow(1000);
      await until('history is here', () => messages.length === 1000);
      stream.cancel();
      expect((await ended).code).to.equal(status.CANCELLED);
      await until('no file is open', () => handles().length === 0, 50);
    });
  });

  describe('a file that is copied and emptied in the middle of a look', () => {
    const copy = (n: number) => copyFileSync(path, `${path}.${n}`);
    const rotate = async (n: number, count: number) => {
      copy(n);
      truncateSync(path);
      await tick(); // files are told apart by their age
      write(count);
    };
    const numberOf = (text: string) => Number(JSON.parse(text).msg);
    /** Reads from the place on; rotations happen as soon as so many lines, or halves, were taken. */
    const read = async (place: LogPlace, at: Record<number, () => void | Promise<void>> = {}) => {
      const lines: number[] = [];
      let taken = 0;
      for (let look = 0; look < 3; look++)
        for await (const text of place.more()) {
          if (/^{[^{]*}$/.test(text)) lines.push(numberOf(text));
          await at[++taken]?.();
        }
      await place.close();
      return runs(lines);
    };
    const end = () => LogPlace.end(path, new AbortController().signal);

    it('has its history in the copy, and goes on there', async () => {
      write(2000);
      const place = await end();
      write(5);
      await rotate(1, 5);
      const history: number[] = [];
      for await (const text of place.history()) history.push(numberOf(text));
      expect(runs(history.reverse())).to.equal('0-1999');
      expect(await read(place)).to.equal('2000-2009');
    });

    it('has the rest of its history in the copy', async () => {
      write(3000);
      const place = await end();
      const history: number[] = [];
      for await (const text of place.history()) {
        history.push(numberOf(text));
        if (history.length === 10) await rotate(1, 2000);
      }
      expect(runs(history.reverse())).to.equal('0-2999');
      expect(await read(place)).to.equal('3000-4999');
    });

    it('is read on in its copy, not at the same place of what was written since', async () => {
      write(5);
      const place = await end();
      write(3000);
      expect(await read(place, { 10: () => rotate(1, 4000) })).to.equal('5-7004');
    });

    it('comes once when the copy is there and the file is not emptied yet', async () => {
      write(5);
      const place = await end();
      write(3000);
      await rotate(1, 10);
      expect(
        await read(place, { 10: () => copy(2), 3005: () => write(5), 3007: () => rotate(2, 10) }),
      ).to.equal('5-3029');
    });

    it('is not left out when it is copied and emptied before its first line was read', async () => {
      write(5);
      const place = await end();
      write(10);
      appendFileSync(path, line(99).slice(0, 20));
      await rotate(1, 10);
      expect(await read(place, { 11: () => rotate(2, 20) })).to.equal('5-44');
    });

    it('is not left out when all of it came and went between two looks', async () => {
      writeFileSync(path, '');
      const place = await end();
      write(10);
      await rotate(1, 10);
      await rotate(2, 10);
      expect(await read(place)).to.equal('0-29');
    });
  });

  describe('long lines', () => {
    const long = (length: number, start = '"msg":"long') =>
      `{"level":"info","time":1,${start}${'x'.repeat(length)}"}\n`;
    /** In history, and when it is written later. */
    const both = async (text: string) => {
      const client = await serve();
      const { messages } = watch(client.tailLogs({ lines: 2, follow: true }));
      writeFileSync(path, text + line(1));
      await until(
        'the next line is here',
        () => messages.length > 0 && messages.at(-1)?.message === '1',
        9000,
      );
      expect(await last()).to.deep.equal(messages);
      expect(messages).to.have.length(2);
      return messages[0];
    };

    it('come whole as long as they fit into a message', async () => {
      const entry = await both(long(3_900_000));
      expect(entry?.message).to.have.length(3_900_004);
    });

    it('that do not fit into a message are cut, with a mark, and come once', async () => {
      const entry = await both(long(5_000_000));
      expect(entry?.message.slice(-10)).to.equal('xxx… (cut)');
      expect(entry?.message.length).to.be.within(3_900_000, 4_100_000);
    });

    it('are cut where they are long, also when none of their end is kept', async () => {
      const entry = await both(long(20_000_000, '"msg":"short","n":{"a":[1]},"long":"\\u00e9'));
      expect(entry?.message).to.equal('short');
      expect(Object.keys(entry?.fields ?? {})).to.deep.equal(['n', 'long']);
      expect(entry?.fields.long?.slice(0, 4)).to.equal('éxxx');
      expect(entry?.fields.long?.slice(-10)).to.equal('xxx… (cut)');
    });

    it('lose the value that is neither text nor complete, and say so', async () => {
      const entry = await both(long(20_000_000, '"msg":"short","n":1,"deep":{"a":"'));
      expect(entry).to.deep.include({ message: 'short', fields: { n: '1', '…': 'cut' } });
    });

    it('with more fields than fit say how many are cut', async () => {
      const fields = Array.from({ length: 20_000 }, (_, i) => `,"field${i}":"${'y'.repeat(300)}"`).join('');
      const entry = await both(`{"level":"info","time":1,"msg":"many"${fields}}\n`);
      const names = Object.keys(entry?.fields ?? {});
      expect(names.length).to.be.within(10_000, 15_000);
      expect(entry?.fields['…']).to.equal(`${20_000 - names.length + 1} fields cut`);
    });

    it('cost nothing while they have no end, and are read once', async () => {
      const rchar = () => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
      write(1);
      const place = await LogPlace.end(path, new AbortController().signal);
      const more = async () => {
        const lines: string[] = [];
        for await (const text of place.more()) lines.push(text);
        return lines;
      };
      await more();
      const size = 20_000_000;
      truncateSync(path, statSync(path).size + size);
      const before = rchar();
      expect(await more()).to.deep.equal([]);
      const read = rchar() - before;
      expect(read).to.be.within(size, size + 500_000);
      for (let look = 0; look < 50; look++) expect(await more()).to.deep.equal([]);
      expect(rchar() - before - read).to.be.lessThan(50_000);
      appendFileSync(path, `${line(1)}${line(2)}`);
      expect(await more()).to.deep.equal([line(1).trimEnd(), line(2).trimEnd()]);
      await place.close();
    });
  });

  describe('the demo log', () => {
    it('has history at once, goes on, and is gone when closed', async () => {
      const log = new LogFile();
      const running = log.demo(20);
      const client = await serveStreams({ tailLogs: tailLogs(log.path) });
      for (const serviceName of ['api', 'worker', 'billing']) {
        const { messages } = await all(client.tailLogs({ serviceName, lines: 1000 }));
        expect(messages.length).to.be.greaterThan(66);
        expect(new Set(messages.map(({ level }) => level))).to.deep.equal(new Set(LEVELS));
        expect(messages.every(({ service }) => service === serviceName)).to.equal(true);
      }
      const { messages, stream, ended } = watch(
        client.tailLogs({ serviceName: 'api', lines: 5, follow: true }),
      );
      await until('new lines come', () => messages.length > 10);
      log.rotate();
      const count = messages.length;
      await until('they go on', () => messages.length > count + 5);
      const requests = messages.map(({ fields }) => Number(fields?.request));
      expect(requests).to.deep.equal(requests.map((_, i) => (requests[0] ?? 0) + 3 * i));
      stream.cancel();
      await ended;
      log.close();
      await running;
      expect(existsSync(dirname(log.path))).to.equal(false);
    });
  });
});
