/** The values of a query that the JSON of a request would have: fields by name, those of a message by `outer.inner`. */
export type Query = { [name: string]: string | string[] | Query };

/** A name that an object has by itself. */
const TAKEN = '__proto__';

/**
 * A query as JSON, all values texts, or lists of them: what they mean is for the method to say.
 * @throws TypeError that names what does not fit.
 */
export function queryOf(search: string): Query {
  const query: Query = {};
  for (const [name, value] of new URLSearchParams(search)) {
    const path = name.split('.');
    const last = path.pop() as string;
    let at = query;
    for (const part of path) {
      if (part === TAKEN) throw unfit(name);
      const inner = Object.hasOwn(at, part) ? at[part] : undefined;
      if (typeof inner === 'string' || Array.isArray(inner)) throw unfit(name);
      at = inner ?? newIn(at, part);
    }
    if (last === TAKEN) throw unfit(name);
    const known = Object.hasOwn(at, last) ? at[last] : undefined;
    if (known === undefined) at[last] = value;
    else if (typeof known === 'string') at[last] = [known, value];
    else if (Array.isArray(known)) known.push(value);
    else throw unfit(name);
  }
  return query;
}

/** What it is for a codec that does not know queries: only booleans are no texts in JSON, whatever they stand for. */
export function jsonOfQuery(query: unknown): unknown {
  if (query === 'true' || query === 'false') return query === 'true';
  if (Array.isArray(query)) return query.map(jsonOfQuery);
  if (typeof query !== 'object' || query === null) return query;
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, jsonOfQuery(value)]));
}

function newIn(query: Query, name: string): Query {
  const inner: Query = {};
  query[name] = inner;
  return inner;
}

function unfit(name: string): TypeError {
  return new TypeError(`Expected \`${name}\` in the query to be a field`);
}
