// A stream of events that pauses and comes back by itself. It knows nothing of the page.

/** A server says something every 15 seconds; one that does not is taken for gone. */
const SILENCE_MS = 40_000;

/**
 * Server-Sent Events, read by `fetch`: an EventSource cannot pause. It comes back with the id of the last event that
 * was taken, so nothing is missed and nothing comes twice.
 */
export class Events {
  retryMs = 2000;
  lastId = '';
  /** How many messages of this connection were taken. */
  taken = 0;
  /** It has left the server until it goes on. */
  hasStopped = false;
  #left = new AbortController();
  #resume;
  #paused;
  #goOn;
  #attempt;

  /** @param tell is told `connecting`, `live`, `lost`, `over` and `refused`, and takes each `message`. */
  constructor(url, headers, tell) {
    Object.assign(this, { url, headers, tell });
  }

  close() {
    this.#left.abort();
    this.resume();
    this.retry();
  }

  pause() {
    this.#paused ??= new Promise(resolve => {
      this.#resume = resolve;
    });
  }

  /** While it is paused: leaves the server, whose source stops, until it goes on at the same place. */
  stop() {
    this.hasStopped = true;
    this.#attempt.abort();
  }

  resume() {
    this.#resume?.();
    this.#paused = undefined;
  }

  /** Comes back now instead of later. */
  retry() {
    this.#goOn?.();
  }

  async run() {
    const { signal } = this.#left;
    while (!signal.aborted) {
      this.tell.connecting();
      const isOver = await this.#connect().catch(() => false);
      if (isOver || signal.aborted) return;
      if (this.hasStopped) {
        while (this.#paused) await this.#paused;
        this.hasStopped = false;
        continue;
      }
      this.tell.lost(this.retryMs);
      await new Promise(resolve => {
        this.#goOn = resolve;
        setTimeout(resolve, this.retryMs);
      });
    }
  }

  /** Reads one response to its end; answers whether there is nothing to come back for. */
  async #connect() {
    this.taken = 0;
    const attempt = new AbortController();
    this.#attempt = attempt;
    const { signal } = attempt;
    this.#left.signal.addEventListener('abort', () => attempt.abort(), { signal });
    const headers = { accept: 'text/event-stream', ...this.headers };
    if (this.lastId !== '') headers['last-event-id'] = this.lastId;
    try {
      const response = await fetch(this.url, { headers, signal, cache: 'no-store' });
      if (response.status >= 500) return false;
      if (!response.ok) {
        this.tell.refused({ message: await response.text() });
        return true;
      }
      this.tell.live();
      return await this.#read(response.body.pipeThrough(new TextDecoderStream()).getReader(), attempt);
    } finally {
      attempt.abort();
    }
  }

  async #read(reader, attempt) {
    let rest = '';
    for (;;) {
      const silence = setTimeout(() => attempt.abort(), SILENCE_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silence));
      while (this.#paused) await this.#paused;
      if (done || attempt.signal.aborted) return false;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const isOver = this.#take(block);
        if (isOver !== undefined) return isOver;
      }
    }
  }

  /** Takes one event; answers something when it is the last one. */
  #take(block) {
    const event = {};
    for (const line of block.split('\n')) {
      const colon = line.indexOf(': ');
      if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
    }
    if (event.retry) this.retryMs = Number(event.retry);
    if (event.event !== 'status') {
      if (event.data) this.#message(event);
      return undefined;
    }
    // A last event with an id says that there is nothing to come back for.
    const status = JSON.parse(event.data);
    if (event.id && status.code === 0) this.tell.over();
    else if (event.id) this.tell.refused(status);
    return event.id !== undefined;
  }

  #message({ data, id }) {
    this.tell.message(JSON.parse(data));
    this.taken += 1;
    if (id) this.lastId = id;
  }
}
