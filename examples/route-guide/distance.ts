import type { Point } from '../../proto/generated/routeguide/Point.ts';
import { numbersOf } from './features.ts';

const EARTH_RADIUS_METRES = 6_371_000;
const radians = (e7: number) => (e7 / 1e7) * (Math.PI / 180);

/** Along the surface, in whole metres, by the haversine formula. */
export function metresBetween(from: Point, to: Point): number {
  const [one, other] = [numbersOf(from), numbersOf(to)];
  const [south, north] = [radians(one.latitude), radians(other.latitude)];
  const up = Math.sin((north - south) / 2) ** 2;
  const along = Math.sin(radians(other.longitude - one.longitude) / 2) ** 2;
  const a = Math.min(1, up + Math.cos(south) * Math.cos(north) * along);
  return Math.trunc(EARTH_RADIUS_METRES * 2 * Math.atan2(Math.sqrt(a), Math.sqrt(1 - a)));
}
