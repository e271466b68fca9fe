// A program that starts the named peers as the bench does, makes one call through each, tells their processes on a line
// and then waits to be killed.
import { nextMessage, startChild } from '../../bench/child.ts';
import { PEER_NAMES, startPeers } from '../../bench/peers.ts';
import { callOnce } from './one-call.ts';

const asked = PEER_NAMES.filter((name) => process.argv.includes(name));
const upstream = startChild('./upstream.ts');
const { port } = await nextMessage<{ port: number }>(upstream);
const peers = await startPeers(asked, port);
await Promise.all(peers.map((peer) => callOnce(peer, { nonce: 'n' })));
console.log(JSON.stringify([upstream.pid, ...peers.flatMap((peer) => peer.pids())]));
