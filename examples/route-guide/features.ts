import { readFileSync } from 'node:fs';
import type { Feature__Output as Feature } from '../../proto/generated/routeguide/Feature.ts';
import type { Point } from '../../proto/generated/routeguide/Point.ts';
import type { Rectangle } from '../../proto/generated/routeguide/Rectangle.ts';

/** The features of gRPC's own examples: https://github.com/grpc/grpc-go, Apache License 2.0. */
const features: readonly Feature[] = JSON.parse(
  readFileSync(new URL('./route_guide_db.json', import.meta.url), 'utf8'),
);

const byPlace = new Map(features.map(feature => [placeOf(feature.location), feature]));

/** Two points are the same place if this is. */
export function placeOf(point: Point | null | undefined): string {
  const { latitude, longitude } = numbersOf(point);
  return `${latitude}, ${longitude}`;
}

/** A message that was not sent is one with its defaults. */
export function numbersOf(point: Point | null | undefined): Record<keyof Point, number> {
  return { latitude: point?.latitude ?? 0, longitude: point?.longitude ?? 0 };
}

export function featureAt(point: Point): Feature | undefined {
  return byPlace.get(placeOf(point));
}

/** Whichever two corners they are that lie across from each other. */
export function* featuresWithin({ lo, hi }: Rectangle): Generator<Feature> {
  const [one, other] = [numbersOf(lo), numbersOf(hi)];
  const within = (name: keyof Point, point: Point) => {
    const at = point[name] ?? 0;
    return at >= Math.min(one[name], other[name]) && at <= Math.max(one[name], other[name]);
  };
  for (const feature of features) {
    const location = numbersOf(feature.location);
    if (within('latitude', location) && within('longitude', location)) yield feature;
  }
}
