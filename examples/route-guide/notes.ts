import type { RouteNote } from '../../proto/generated/routeguide/RouteNote.ts';
import { placeOf } from './features.ts';

/** A server that runs for months is not to keep every note that anybody ever left. */
const MAX_PLACES = 1000;
const MAX_NOTES = 100;

/** What was said, by place: the last hundred notes of each of the thousand places visited last. */
export class Notes {
  private readonly places = new Map<string, readonly RouteNote[]>();

  /** Keeps a note, and answers all that there are at its place. */
  leave(note: RouteNote): readonly RouteNote[] {
    const place = placeOf(note.location);
    const notes = [...(this.places.get(place) ?? []), note].slice(-MAX_NOTES);
    this.places.delete(place);
    this.places.set(place, notes);
    if (this.places.size > MAX_PLACES) this.places.delete(this.places.keys().next().value as string);
    return notes;
  }
}
