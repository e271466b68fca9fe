// Preloaded into real servers. They listen on every interface and on a port that must be free before they start; with this
// they listen on loopback only, on a port the system picks, and say which one: a readiness event without a race.
import { Server } from 'node:net';
import { portOf } from './loopback.ts';

// oxlint-disable-next-line typescript/unbound-method -- called below with the server it is called on
const listen = Server.prototype.listen;

// They call listen(port, callback), one of its many overloads.
Server.prototype.listen = function (this: Server, ...args: unknown[]): Server {
  this.once('listening', () => process.stderr.write(`\nlistening on loopback port ${portOf(this)}\n`));
  Reflect.apply(listen, this, [0, '127.0.0.1', ...args.filter((arg) => typeof arg === 'function')]);
  return this;
};
