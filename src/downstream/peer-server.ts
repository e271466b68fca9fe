// The Fastify instance toward other replicas: the same routes as toward clients, behind one guard of its own. Whoever comes
// in has been let in by the replica that passes the request on, which says who it is, sealed. Nothing is passed on from here.

import { type RequestListener, createServer as createHttpServer } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Config } from '../config/schema.ts';
import { ProxyError, asProxyError } from '../domain/errors.ts';
import type { Journal } from '../domain/ports.ts';
import type { Principal } from '../domain/principal.ts';
import { plain } from '../edge/client-address.ts';
import { checkFraming } from '../edge/framing-guard.ts';
import { pathOf, refusing } from '../edge/guards.ts';
import { checkPath } from '../edge/path-guard.ts';
import { valuesOf } from '../edge/raw-headers.ts';
import {
  HELLO_PATH,
  HOP_HEADER,
  type HopOptions,
  HopReader,
  type HopRefusal,
  answerGreeting,
  callerIn,
} from '../protocol/hop-header.ts';
import type { HopClaims } from '../protocol/sealed-token.ts';
import type { Directory } from '../replica/directory.ts';
import type { Mount } from '../traffic/mount.ts';
import { receiveBodies } from './bodies.ts';
import { callerOf, passedOn } from './caller.ts';
import { fromFastify, refuse } from './error-reply.ts';
import { type RouteDeps, servedHere } from './open-exchange.ts';
import { passthroughRoutes } from './passthrough.ts';
import { mountRoutes } from './routes.ts';

export interface PeerDoor extends HopOptions {
  /** Of the process: what was taken once is taken, whatever configuration goes. */
  readonly reader: HopReader;
  /** Where sessions are looked for that were handed over. */
  readonly directory: Pick<Directory, 'lost'>;
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

const PASSED_ON = 'passedOn';

export async function createPeerServer(
  config: Config,
  mounts: readonly Mount[],
  ofClients: RouteDeps,
  door: PeerDoor,
): Promise<RequestListener> {
  const journal = namingPeers(ofClients.journal);
  const deps: RouteDeps = { ...servedHere(ofClients), journal, registry: sayingUnknown(ofClients.registry) };
  const app = Fastify({
    logger: false,
    // For the address alone: the replica that passes a request on says whose it is.
    trustProxy: true,
    // See createServer.
    serverFactory: (handler) => createHttpServer(handler),
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    frameworkErrors: (error, _request, reply) => void refuse(reply, journal, fromFastify(error)),
  });
  app.decorateRequest(PASSED_ON);
  app.addHook(
    'onRequest',
    refusing(
      (request) => checkFraming(request.raw) ?? checkPath(request.url) ?? refusalAt(door, request, journal),
      (reply, error) => refuse(reply, journal, error),
    ),
  );
  receiveBodies(app, {
    maxBytes: config.limits.bodyBytes,
    maxHeld: () => deps.limits().receivedBytes,
    held: deps.received,
  });
  app.get(HELLO_PATH, async (request, reply) => {
    const { version, wallMs } = door;
    const how = { version, wallMs: wallMs(), isDraining: deps.isLeaving() };
    const texts = valuesOf(request.raw.rawHeaders, HOP_HEADER);
    const answer = answerGreeting(door, texts, how);
    if (answer !== null) return reply.type('text/plain').send(answer);
    return refuse(reply, journal, refused(texts.length === 1 ? 'forged' : 'absent', request, journal));
  });
  for (const mount of mounts) {
    const { passage } = mount;
    const enter = (routes: (scope: FastifyInstance) => void): void => {
      passedOn(app, (request) => callerOn(mount, request, journal), journal, routes);
    };
    enter((scope) => {
      // The replica that passes it on drains, and has let go of the session: it is ours from now on, if it can be had.
      scope.addHook('preHandler', (request, reply, next) => {
        const { takesOver, from } = request.getDecorator<HopClaims>(PASSED_ON);
        const { 'mcp-session-id': id } = request.headers;
        if (takesOver !== true || typeof id !== 'string' || deps.isDraining()) {
          next();
          return;
        }
        const sought = ofClients.registry.sought(id, mount, callerOf(request, mount));
        door.directory.lost(sought, from, 'unknown').then(
          () => next(),
          (thrown: unknown) => void refuse(reply, journal, asProxyError(thrown)),
        );
      });
      mountRoutes(scope, mount, deps);
    });
    if (passage !== null) enter((scope) => passthroughRoutes(scope, mount, passage, deps));
  }
  // Of an upstream that is served there and not here.
  app.setNotFoundHandler((_request, reply) => refuse(reply, journal, notOwner('unknown')));
  app.setErrorHandler((error, _request, reply) => refuse(reply, journal, fromFastify(error)));
  await app.ready();
  return (request, response) => app.routing(request, response);
}

/** Null: another replica has passed this on to us, just now, and said for whom. */
function refusalAt({ reader }: PeerDoor, request: FastifyRequest, journal: Journal): ProxyError | null {
  if (pathOf(request) === HELLO_PATH) return null;
  const read = reader.read(valuesOf(request.raw.rawHeaders, HOP_HEADER));
  if (read === 'gone') return notOwner('gone');
  if (typeof read === 'string') return refused(read, request, journal);
  request.setDecorator(PASSED_ON, read);
  return null;
}

function callerOn({ name }: Mount, request: FastifyRequest, journal: Journal): Principal | ProxyError {
  const claims = request.getDecorator<HopClaims>(PASSED_ON);
  return claims.mount === name ? callerIn(claims) : refused('not_meant', request, journal);
}

function refused(why: HopRefusal, { raw }: FastifyRequest, journal: Journal): ProxyError {
  // Not what it says of itself.
  journal.record({ fact: 'hop_refused', why, client: plain(raw.socket.remoteAddress) });
  return hopRefused();
}

/** The same for all of them: what is wrong with it is for the log. */
function hopRefused(): ProxyError {
  return new ProxyError('hop_refused', 'this listener is for the replicas of this gateway', { owner: 'refused' });
}

function notOwner(owner: 'gone' | 'unknown'): ProxyError {
  return new ProxyError('not_owner', 'this replica does not hold what the request is about', { owner });
}

/** To a replica an unknown session is one to look for elsewhere. */
function sayingUnknown(registry: RouteDeps['registry']): RouteDeps['registry'] {
  return {
    has: (...given) => registry.has(...given),
    sure: (...given) => registry.sure(...given),
    create: (...given) => registry.create(...given),
    end: (...given) => registry.end(...given),
    opened: (...given) => registry.opened(...given),
    sought: (...given) => registry.sought(...given),
    leaving: (...given) => registry.leaving(...given),
    find(...given) {
      try {
        return registry.find(...given);
      } catch (thrown) {
        throw thrown instanceof ProxyError && thrown.code === 'session_unknown' ? notOwner('unknown') : thrown;
      }
    },
  };
}

/** What a stranger says of where he comes from is not told: his own address has a line of its own. */
function namingPeers(journal: Journal): Journal {
  return {
    record(fact) {
      if (fact.fact !== 'refused') journal.record(fact);
      else if (fact.reason === 'hop_refused') journal.record({ ...fact, listener: 'peers', client: undefined });
      else journal.record({ ...fact, listener: 'peers' });
    },
  };
}
