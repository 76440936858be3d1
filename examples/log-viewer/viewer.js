// The page of the log viewer: a stream of events that pauses and comes back by itself, the list that shows its lines,
// and the controls.

/** How many lines the page keeps; the earliest ones go. */
const MOST = 2000;
/** How many lines of the past it asks for. */
const PAST = 500;
/**
 * How many lines of a paused page may be on their way. Browsers take megabytes of what no script reads, so that it
 * would be long before the server has to wait: until then, the page leaves, and has its place to come back to.
 */
const AHEAD = 256;
/** A server says something every 15 seconds; one that does not is taken for gone. */
const SILENCE_MS = 40_000;

const TAIL = '/streamservice.StreamService/TailLogs';

/**
 * Server-Sent Events, read by `fetch`: an EventSource cannot pause. It comes back with the id of the last event that
 * was taken, so nothing is missed and nothing comes twice.
 */
class Events {
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

const find = id => document.getElementById(id);
const root = document.documentElement;

/** The list of lines, and what it scrolls in. Those that came are added once a frame, and the earliest go when there are too many. */
class Lines {
  count = 0;
  follows = true;
  /** What is in the list was asked for before; it goes when something newer comes. */
  isStale = false;
  #waiting = [];

  constructor(log, list) {
    Object.assign(this, { log, list });
    // Lines are added in frames only: a log that is not at its end when it has scrolled was scrolled by a person.
    log.addEventListener('scroll', () => {
      this.setFollows(log.scrollHeight - log.scrollTop - log.clientHeight < 4);
    });
    new ResizeObserver(() => this.setFollows(this.follows)).observe(log);
  }

  setFollows(follows) {
    this.follows = follows;
    find('follow').setAttribute('aria-pressed', String(follows));
    if (follows) this.log.scrollTop = this.log.scrollHeight;
  }

  add(element) {
    if (this.#waiting.length === 0) requestAnimationFrame(() => this.render());
    this.#waiting.push(element);
    // Frames stop while nobody looks at the page; lines do not.
    if (this.#waiting.length > 2 * MOST) this.#waiting.splice(0, MOST);
  }

  render() {
    const { log, list } = this;
    if (this.isStale) list.replaceChildren();
    this.isStale = false;
    list.append(
      ...this.#waiting
        .splice(0)
        .slice(-MOST)
        .map(make => make()),
    );
    while (list.childElementCount > MOST) list.firstElementChild.remove();
    if (this.follows) log.scrollTop = log.scrollHeight;
  }

  /** Begins anew; what is there stays until something comes. */
  restart() {
    this.count = 0;
    this.isStale = true;
    this.#waiting.splice(0);
    counted.splice(0);
    this.setFollows(true);
  }
}

const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

/** A line as an element; all of it as text, whatever it says. */
function lineOf({ timestamp = '', level = '', service = '', message = '', fields = {} }) {
  const at = new Date(timestamp);
  const ms = String(at.getMilliseconds()).padStart(3, '0');
  const line = elementOf('li');
  line.dataset.level = level;
  const when = elementOf('time', `${time.format(at)}.${ms}`);
  when.dateTime = when.title = timestamp;
  const said = elementOf('span', `${message} `);
  said.className = 'said';
  const details = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
  said.append(elementOf('i', details.join(' ')));
  line.append(when, ' ', elementOf('b', level.toUpperCase()), ' ', elementOf('span', service), ' ', said);
  return line;
}

function noteOf(text) {
  const note = elementOf('li', text);
  note.className = 'note';
  return note;
}

function elementOf(name, text = '') {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** How many lines there were at the last seconds. */
const counted = [];
const lines = new Lines(find('log'), find('lines'));
const number = new Intl.NumberFormat();

/** By this the server knows whose stream is meant, when the page asks how far it is. */
const page = Math.random().toString(36).slice(2);

/** What is known of the connection, and until when it waits. */
let link = { state: 'connecting', text: 'Connecting…' };
let isPaused = false;
let events;

function setLink(state, text, said = text, retryAt = undefined) {
  link = { state, text, retryAt };
  if (state !== 'connecting') find('said').textContent = said;
  showState();
}

/** The state of the connection is always there to see; a pause is one only as long as the server is there. */
function showState() {
  const { state, text, retryAt } = link;
  const paused = isPaused && (state === 'live' || state === 'gone');
  const seconds = retryAt && Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
  root.dataset.state = paused && state === 'live' ? 'paused' : state;
  find('state').textContent = seconds === undefined ? text : `${text}, next try in ${seconds} s`;
  if (paused && state === 'live') find('state').textContent = 'Paused';
  if (paused && state === 'gone') find('state').textContent = 'Paused, and the server does not answer';
  find('again').hidden = state !== 'lost' && state !== 'refused';
  find('pause').textContent = isPaused ? 'Resume' : 'Pause';
}

/** Opens the stream of a level: some of the past, and what comes. */
function open(level) {
  lines.restart();
  start(level);
}

function start(level) {
  events?.close();
  const query = new URLSearchParams({ logLevel: level, lines: String(PAST), follow: 'true' });
  const own = new Events(
    `${TAIL}?${query}`,
    { 'x-page': page },
    {
      connecting: () => setLink('connecting', 'Connecting…'),
      live() {
        setLink('live', 'Live');
        setTimeout(() => own === events && lines.isStale && lines.render(), 1000);
      },
      lost: inMs => setLink('lost', 'Connection lost', 'Connection lost', performance.now() + inMs),
      over: () => setLink('over', 'The log has ended'),
      refused({ status, message }) {
        setLink('refused', `The server refuses: ${message}`);
        if (status === 'OUT_OF_RANGE') afterGap(level);
      },
      message(line) {
        lines.count += 1;
        lines.add(() => lineOf(line));
      },
    },
  );
  events = own;
  if (isPaused) setPaused(false);
  void own.run();
}

/** The log was rotated away while the page was gone: that is said, and not hidden. */
function afterGap(level) {
  lines.add(() => noteOf('Some lines are missing here: the log does not have them any more.'));
  start(level);
}

function setPaused(paused) {
  isPaused = paused;
  if (paused) events.pause();
  else events.resume();
  find('said').textContent = paused ? 'Paused' : 'Goes on';
  showState();
}

function setLevel(level) {
  find('level').value = level;
  find('errors').setAttribute('aria-pressed', String(level === 'error'));
  find('lines').dataset.show = level;
  open(level);
}

find('errors').addEventListener('click', () => setLevel(find('level').value === 'error' ? '' : 'error'));
find('level').addEventListener('change', () => setLevel(find('level').value));
find('pause').addEventListener('click', () => setPaused(!isPaused));
find('follow').addEventListener('click', () => lines.setFollows(!lines.follows));
find('again').addEventListener('click', () => {
  if (link.state === 'lost') events.retry();
  else open(find('level').value);
});
find('log').addEventListener('keydown', event => {
  const button = { ' ': 'pause', e: 'errors', f: 'follow' }[event.key];
  if (button === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  find(button).click();
});

/** The rate is that of the last three seconds. */
setInterval(() => {
  counted.push(lines.count);
  if (counted.length > 4) counted.shift();
  const perSecond = (lines.count - counted[0]) / Math.max(1, counted.length - 1);
  find('rate').textContent = number.format(Math.max(0, Math.round(perSecond)));
  if (link.retryAt) showState();
}, 1000);
setInterval(async () => {
  find('count').textContent = number.format(lines.count);
  await askServer();
}, 200);

/** While the page pauses: how many lines are on their way here, until the server stops. */
async function askServer() {
  if (!isPaused) find('producer').textContent = '';
  const { state } = link;
  if (!isPaused || (state !== 'live' && state !== 'gone')) return;
  const answer = await fetch(`/producer?page=${page}`).then(
    response => response.json(),
    () => undefined,
  );
  if (state !== link.state || !isPaused) return;
  if (state === 'live' && !answer) setLink('gone', 'The server does not answer');
  else if (state === 'gone' && answer) setLink('live', 'Live');
  if (!answer || events.hasStopped) return;
  const ahead = Math.max(0, answer.sent - events.taken);
  if (ahead > AHEAD || answer.waits) events.stop();
  const what = events.hasStopped ? 'the server has stopped' : 'the server goes on';
  find('producer').textContent = `${number.format(ahead)} lines on their way, ${what}`;
}

setLevel('');
