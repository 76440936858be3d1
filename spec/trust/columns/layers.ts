import { configure, type Middleware } from 'leat';
import { logging } from 'leat/logging';
import { metrics } from 'leat/metrics';
import type { Row } from '../row.ts';
import { log } from './column.ts';

/** All hooks of ours that hear of a call, each of which throws. */
export function layersOf({ logs }: Row): Middleware[] {
  if (!logs) return [];
  const logger = { debug: log, info: log, warn: log, error: log };
  return [
    metrics({ metricAttributes: log, isError: log }),
    logging({ logger, level: log }),
    configure({ onError: log, onOrphan: log }),
  ];
}
