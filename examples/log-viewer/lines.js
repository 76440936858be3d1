// The list of the log's lines. Its text is only ever text.

/** How many lines the page keeps; the earliest ones go. */
const MOST = 2000;

/** The list of lines, and what it scrolls in. Those that came are added once a frame, and the earliest go when there are too many. */
export class Lines {
  count = 0;
  follows = true;
  /** What is in the list was asked for before; it goes when something newer comes. */
  isStale = false;
  #waiting = [];

  /** @param follow is the button that says whether the log stays at its end. */
  constructor(log, list, follow) {
    Object.assign(this, { log, list, follow });
    // Lines are added in frames only: a log that is not at its end when it has scrolled was scrolled by a person.
    log.addEventListener('scroll', () => {
      this.setFollows(log.scrollHeight - log.scrollTop - log.clientHeight < 4);
    });
    new ResizeObserver(() => this.setFollows(this.follows)).observe(log);
  }

  setFollows(follows) {
    this.follows = follows;
    this.follow.setAttribute('aria-pressed', String(follows));
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
    this.setFollows(true);
  }
}

const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

/** A line as an element; all of it as text, whatever it says. */
export function lineOf({ timestamp = '', level = '', service = '', message = '', fields = {} }) {
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

export function noteOf(text) {
  const note = elementOf('li', text);
  note.className = 'note';
  return note;
}

function elementOf(name, text = '') {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}
