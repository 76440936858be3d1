import { once } from 'node:events';
import { type ClientDuplexStream, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { routeguide } from '../../examples/protos.ts';
import { metresBetween } from '../../examples/route-guide/distance.ts';
import { Notes } from '../../examples/route-guide/notes.ts';
import { routeGuide } from '../../examples/route-guide.ts';
import type { Feature__Output } from '../../proto/generated/routeguide/Feature.ts';
import type { Point } from '../../proto/generated/routeguide/Point.ts';
import type { RouteNote, RouteNote__Output } from '../../proto/generated/routeguide/RouteNote.ts';
import type { RouteSummary__Output } from '../../proto/generated/routeguide/RouteSummary.ts';
import { all } from '../support/examples.ts';
import { goProgram, inGo } from '../support/go.ts';
import { Program } from '../support/program.ts';
import { closeServed, type Served, serveExample } from '../support/served.ts';

const { RouteGuide } = routeguide;
type Client = InstanceType<typeof RouteGuide>;

const trail = {
  name: 'Berkshire Valley Management Area Trail, Jefferson, NJ, USA',
  location: { latitude: 409146138, longitude: -746188906 },
};
const at = (latitude: number, longitude: number) => ({ latitude, longitude });

describe('examples: RouteGuide', () => {
  let served: Served<Client>;
  let client: Client;

  beforeEach(async () => {
    served = await serveExample(routeGuide, RouteGuide);
    client = served.client;
  });
  afterEach(closeServed);

  const featureAt = (point: Point): Promise<Feature__Output> =>
    new Promise((resolve, reject) =>
      client.getFeature(point, (error, feature) =>
        error ? reject(error) : resolve(feature as Feature__Output),
      ),
    );
  const featuresWithin = (lo: Point | undefined, hi: Point | undefined) =>
    all(client.listFeatures({ ...(lo && { lo }), ...(hi && { hi }) }));

  const record = (points: Point[]): Promise<RouteSummary__Output> =>
    new Promise((resolve, reject) => {
      const route = client.recordRoute((error, summary) =>
        error ? reject(error) : resolve(summary as RouteSummary__Output),
      );
      for (const point of points) route.write(point);
      route.end();
    });

  const chat = () => client.routeChat() as ClientDuplexStream<RouteNote, RouteNote__Output>;
  const next = async (call: ReturnType<typeof chat>): Promise<string> => {
    const [note] = await once(call, 'data');
    return note.message;
  };

  it('has the field numbers of its tutorial', () => {
    const { GetFeature, ListFeatures, RecordRoute, RouteChat } = RouteGuide.service;
    const bytes = (buffer: Buffer) => buffer.toString('hex');
    expect(bytes(GetFeature.requestSerialize(at(1, 2)))).to.equal('08011002');
    expect(bytes(GetFeature.responseSerialize({ name: 'a', location: at(1, 2) }))).to.equal(
      '0a0161120408011002',
    );
    expect(bytes(ListFeatures.requestSerialize({ lo: at(1, 2), hi: at(3, 4) }))).to.equal(
      '0a0408011002120408031004',
    );
    expect(
      bytes(RecordRoute.responseSerialize({ pointCount: 1, featureCount: 2, distance: 3, elapsedTime: 4 })),
    ).to.equal('0801100218032004');
    expect(bytes(RouteChat.requestSerialize({ location: at(1, 2), message: 'a' }))).to.equal(
      '0a0408011002120161',
    );
  });

  describe('GetFeature', () => {
    it('finds what is at a point', async () => {
      expect(await featureAt(trail.location)).to.deep.equal(trail);
    });

    it('answers with the point, and no name, where there is nothing', async () => {
      expect(await featureAt(at(1, -1))).to.deep.equal({ name: '', location: at(1, -1) });
      expect(await featureAt({})).to.deep.equal({ name: '', location: at(0, 0) });
    });
  });

  describe('ListFeatures', () => {
    it('lists what is within a rectangle, whichever its corners are', async () => {
      const south = at(400000000, -750000000);
      const north = at(420000000, -730000000);
      const { messages, code } = await featuresWithin(south, north);
      expect(code).to.equal(status.OK);
      expect(messages).to.have.length(100);
      expect(messages).to.deep.include(trail);
      expect((await featuresWithin(north, south)).messages).to.deep.equal(messages);
      const [west, east] = [at(420000000, -750000000), at(400000000, -730000000)];
      expect((await featuresWithin(west, east)).messages).to.deep.equal(messages);
    });

    it('takes what lies on the border, and a rectangle that is a point', async () => {
      const { messages } = await featuresWithin(trail.location, trail.location);
      expect(messages).to.deep.equal([trail]);
    });

    it('is empty and OK where there is nothing, also without corners', async () => {
      for (const corner of [undefined, at(1, 1)]) {
        const { messages, code } = await featuresWithin(corner, undefined);
        expect({ messages, code }).to.deep.equal({ messages: [], code: status.OK });
      }
    });
  });

  describe('RecordRoute', () => {
    it('sums up a route once all of it has come', async () => {
      const { elapsedTime, ...summary } = await record([at(0, 0), trail.location, trail.location]);
      const distance = metresBetween(at(0, 0), trail.location);
      expect(summary).to.deep.equal({ pointCount: 3, featureCount: 2, distance });
      expect(elapsedTime).to.equal(0);
    });

    it('sums up none', async () => {
      const nothing = { pointCount: 0, featureCount: 0, distance: 0, elapsedTime: 0 };
      expect(await record([])).to.deep.equal(nothing);
      expect(await record([trail.location])).to.deep.equal({ ...nothing, pointCount: 1, featureCount: 1 });
    });

    it('measures along the surface', () => {
      const quarter = Math.trunc((Math.PI / 2) * 6_371_000);
      expect(metresBetween(at(0, 0), at(0, 900000000))).to.equal(quarter);
      expect(metresBetween(at(0, 0), at(900000000, 0))).to.equal(quarter);
      expect(metresBetween(at(900000000, 0), at(-900000000, 1800000000))).to.be.closeTo(2 * quarter, 1);
      expect(metresBetween(at(1, 1), at(1, 1))).to.equal(0);
    });

    it('stays within an int32, however long the route', async () => {
      const poles = Array.from({ length: 300 }, (_, i) => at(i % 2 ? 900000000 : -900000000, 0));
      expect(await record(poles)).to.include({ pointCount: 300, distance: 2 ** 31 - 1 });
    });
  });

  describe('RouteChat', () => {
    it('answers a note with all that were left at its point, by whomever, while more may come', async () => {
      const one = chat();
      one.write({ location: at(0, 1), message: 'first' });
      expect(await next(one)).to.equal('first');
      const other = chat();
      const heard: string[] = [];
      other.on('data', ({ message }) => heard.push(message));
      other.write({ location: at(0, 2), message: 'elsewhere' });
      other.write({ location: at(0, 1), message: 'second' });
      other.end();
      await once(other, 'end');
      expect(heard).to.deep.equal(['elsewhere', 'first', 'second']);
      one.end();
      one.resume();
      const [{ code }] = await once(one, 'status');
      expect(code).to.equal(status.OK);
    });

    it('does not keep what was said for ever', () => {
      const notes = new Notes();
      for (let i = 0; i < 150; i++) notes.leave({ location: at(0, 0), message: `${i}` });
      const kept = notes.leave({ location: at(0, 0), message: 'last' }).map(({ message }) => message);
      expect(kept).to.have.length(100);
      expect([kept[0], kept.at(-1)]).to.deep.equal(['51', 'last']);
      for (let i = 1; i <= 1000; i++) notes.leave({ location: at(0, i), message: '' });
      expect(notes.leave({ location: at(0, 0), message: 'again' })).to.have.length(1);
    });
  });

  describe(`the client of grpc-go's own examples, in ${inGo}`, function () {
    this.timeout(300_000);
    let program: string;
    before(async function () {
      const path = 'google.golang.org/grpc/examples/route_guide/client';
      program = await goProgram(this, path, 'v0.0.0-20260825154716-030ee8becb20');
    });

    it('gets what it asks for, by methods of all kinds', async () => {
      const { code, stderr } = await new Program([program, '-addr', `127.0.0.1:${served.running.port}`])
        .ended;
      expect({ code, stderr: code === 0 ? '' : stderr }).to.deep.equal({ code: 0, stderr: '' });
      const said = stderr.split('\n').map(line => line.replace(/^\S+ \S+ /, ''));
      const found = (pattern: RegExp) => said.filter(line => pattern.test(line));
      expect(found(/^name:\s*"Berkshire Valley Management Area Trail, Jefferson, NJ, USA"/)).to.have.length(
        1,
      );
      expect(found(/^Feature: name: /)).to.have.length(100);
      const [, points] = /Traversing (\d+) points/.exec(stderr) ?? [];
      expect(
        said.some(line => new RegExp(`^Route summary: point_count:\\s*${points}\\s`).test(line)),
      ).to.equal(true);
      expect(found(/^Got message /)).to.deep.equal([
        'Got message First message at point(0, 1)',
        'Got message Second message at point(0, 2)',
        'Got message Third message at point(0, 3)',
        'Got message First message at point(0, 1)',
        'Got message Fourth message at point(0, 1)',
        'Got message Second message at point(0, 2)',
        'Got message Fifth message at point(0, 2)',
        'Got message Third message at point(0, 3)',
        'Got message Sixth message at point(0, 3)',
      ]);
    });
  });
});
