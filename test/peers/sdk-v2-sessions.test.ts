// Sessions of SDK v2, for which it has to be in mode `legacy`: in the others it finds the modern era, which has none.
import { brokenConnectionsOf, serverRestartsOf } from './support/sessions/broken-connections.ts';
import { callbacksOf } from './support/sessions/callbacks.ts';
import { demonstrationOf } from './support/sessions/demonstration.ts';
import { livesOf, modesOf } from './support/sessions/lives.ts';

callbacksOf('v2 legacy');
brokenConnectionsOf('v2 legacy');
serverRestartsOf('v2 legacy');
demonstrationOf('v2 legacy');
livesOf('v2 legacy');
modesOf('v2 legacy');
