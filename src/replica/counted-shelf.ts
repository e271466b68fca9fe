// A shelf whose every operation is told, and how it went.

import { StoreFault, type StoreOperation, type StoreOutcome } from '../domain/store-faults.ts';
import type { Shelf } from './shelf.ts';

export type TellOperation = (operation: StoreOperation, outcome: StoreOutcome) => void;

export function countedShelf(shelf: Shelf, tell: TellOperation): Shelf {
  const told = async <T>(
    operation: StoreOperation,
    doing: Promise<T>,
    isDone: (result: T) => boolean = () => true,
  ): Promise<T> => {
    try {
      const result = await doing;
      tell(operation, isDone(result) ? 'done' : 'refused');
      return result;
    } catch (thrown) {
      tell(operation, thrown instanceof StoreFault ? thrown.kind : 'error');
      throw thrown;
    }
  };
  return {
    lease: (...given) => told('lease', shelf.lease(...given)),
    write: (...given) => told('write', shelf.write(...given), ({ is }) => is === 'written'),
    take: (...given) => told('take', shelf.take(...given), (found) => found !== null),
    remove: (...given) => told('remove', shelf.remove(...given), ({ is }) => is === 'written'),
    read: (...given) => told(given[1], shelf.read(...given)),
    renew: (...given) => told('renew', shelf.renew(...given)),
    mark: (...given) => told('marker', shelf.mark(...given)),
    clear: (...given) => told('renew', shelf.clear(...given)),
    open: () => shelf.open(),
    close: () => shelf.close(),
  };
}
