// The page of the log viewer: its controls, and the state of its connection.

import { Events } from './events.js';
import { Lines, lineOf, noteOf } from './lines.js';

/** How many lines of the past it asks for. */
const PAST = 500;
/**
 * How many lines of a paused page may be on their way. Browsers take megabytes of what no script reads, so that it
 * would be long before the server has to wait: until then, the page leaves, and has its place to come back to.
 */
const AHEAD = 256;

const TAIL = '/streamservice.StreamService/TailLogs';

const find = id => document.getElementById(id);
const root = document.documentElement;

/** How many lines there were at the last seconds. */
const counted = [];
const lines = new Lines(find('log'), find('lines'), find('follow'));
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
  counted.splice(0);
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
// A browser takes its time to end what a closed page has open, and may keep a page that one comes back to.
addEventListener('pagehide', () => {
  events.pause();
  events.stop();
});
addEventListener('pageshow', ({ persisted }) => {
  if (persisted && !isPaused) events.resume();
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
