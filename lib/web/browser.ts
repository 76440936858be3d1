import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { expected } from '../check.ts';
import type { AnyHandler } from '../mounts/handler.ts';
import { callByEvents } from './by-events.ts';
import { callByGrpcWeb } from './by-grpc-web.ts';
import { exposing, NO_CORS, permission, readable, standingOf, VARY } from './cors.ts';
import { grpcWebOf } from './grpc-web.ts';
import { WebMethod } from './method.ts';
import type { WebSettings } from './options.ts';
import {
  headerOf,
  isGone,
  type Next,
  targetOf,
  type WebRequest,
  type WebResponse,
  wantsEvents,
} from './transport.ts';
import { Visit } from './visit.ts';

/** Where services are mounted for browsers. */
export class Browser {
  private readonly methods = new Map<string, WebMethod>();
  /** As paths begin with them; a path without a service says nothing of those beside it. */
  private readonly services = new Set<string>();
  /** How many requests are being answered. */
  private open = 0;
  private closing = false;
  private waiting: (() => void)[] = [];

  /** @internal Use `web()`. */
  constructor(private readonly settings: WebSettings) {}

  /** Registers handlers of grpc-js by hand; `mount` does it with middleware, and is meant for it. */
  addService(service: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    const names = Object.entries(service);
    for (const [, { path }] of names)
      if (this.methods.has(path))
        throw new Error(`Expected each method to be mounted once, got \`${path}\` again`);
    for (const [name, definition] of names) {
      if (serviceOf(definition.path) !== '/') this.services.add(serviceOf(definition.path));
      const { originalName = name } = definition;
      const handler: unknown = implementation[name] ?? implementation[originalName];
      if (handler === undefined) continue;
      if (typeof handler !== 'function') throw expected(`implementation.${name}`, 'a handler', handler);
      const own = handler as AnyHandler & { call: never } satisfies AnyHandler;
      this.methods.set(definition.path, new WebMethod(definition, own, this.settings));
    }
  }

  /**
   * Answers a request, or hands it to `next` when it is none of ours. Wants nothing of its `this`: give it to
   * `http.createServer`, `http2.createSecureServer`, or `app.use`.
   */
  readonly handler = (request: WebRequest, response: WebResponse, next?: Next): void => {
    const [path, search] = targetOf(request);
    const method = this.methods.get(path);
    // A framework has streams and JSON of its own.
    const ours = !next || method !== undefined || this.services.has(serviceOf(path));
    const events = ours && wantsEvents(request);
    switch (request.method) {
      case 'POST': {
        const contentType = headerOf(request, 'content-type');
        const web = grpcWebOf(contentType);
        if (typeof web === 'object')
          return this.visit(request, response, visit => callByGrpcWeb(visit, web, path, method));
        const json = /^\s*application\/json\s*(?:;|$)/i.test(contentType ?? '');
        if (json && (method || events))
          return this.visit(request, response, visit => callByEvents(visit, path, undefined, method));
        if (next && web === undefined) return next();
        return this.visit(request, response, visit =>
          method || web
            ? visit.fail(415, `Expected a content-type of ${TYPES}, got \`${contentType ?? ''}\``, {
                'accept-post': TYPES,
              })
            : visit.fail(404, NOTHING),
        );
      }
      case 'GET':
        if (method?.byGet || events)
          return this.visit(request, response, visit => {
            if (method?.byGet === false)
              visit.fail(405, 'Expected POST: this method may have side effects', ALLOW);
            else callByEvents(visit, path, search, method);
          });
        break;
      case 'OPTIONS':
        // By gRPC-Web it is answered here that there is no such method, which a page is to read.
        if (isPreflight(request) && (ours || (this.settings.cors !== NO_CORS && namesGrpcWeb(request))))
          return this.visit(request, response, visit => visit.empty(204), true);
    }
    if (next) return next();
    this.visit(request, response, visit =>
      method ? visit.fail(405, 'Expected GET or POST', ALLOW) : visit.fail(404, NOTHING),
    );
  };

  /** Refuses what comes from now on, and calls back when all that is open has ended. Called by `drain`. */
  tryShutdown(done: (error?: Error) => void): void {
    this.closing = true;
    if (this.open === 0) process.nextTick(done);
    else this.waiting.push(done);
  }

  /** Refuses what comes from now on. Called by `drain`, which has ended all calls by then. */
  forceShutdown(): void {
    this.closing = true;
  }

  /** Serves pages that may call, and is told when a response is over. */
  private visit(
    request: WebRequest,
    response: WebResponse,
    serve: (visit: Visit) => void,
    preflight = false,
  ): void {
    const { settings } = this;
    // Whoever was asked before might have taken his time.
    if (isGone(response)) return;
    this.open += 1;
    response.once('close', () => {
      this.open -= 1;
      if (this.open > 0) return;
      for (const done of this.waiting.splice(0)) done();
    });
    const visit = new Visit(this, request, response, settings);
    try {
      if (settings.cors.varies) visit.headers = VARY;
      const standing = standingOf(request, settings.cors);
      if (standing === 'foreign') return visit.fail(403, 'Pages of this origin may not call', VARY);
      if (standing === 'allowed') {
        visit.headers = preflight ? permission(request, settings.cors) : readable(request, settings.cors);
        visit.exposes = exposing;
      }
      visit.closing = this.closing;
      serve(visit);
    } catch (error) {
      visit.crashed(error);
    }
  }
}

const TYPES = 'application/grpc-web+proto, application/grpc-web-text+proto, application/json';
const ALLOW = { allow: 'GET, POST, OPTIONS' };
const NOTHING = 'Expected the path of a method, /package.Service/Method';

function isPreflight(request: WebRequest): boolean {
  return headerOf(request, 'access-control-request-method') !== undefined;
}

/** Whether a preflight is that of a call by gRPC-Web. */
function namesGrpcWeb(request: WebRequest): boolean {
  const asked = headerOf(request, 'access-control-request-headers') ?? '';
  return /(?:^|,)\s*x-grpc-web\s*(?:,|$)/i.test(asked);
}

/** The part of a path that names a service, `/package.Service/`. */
function serviceOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}
