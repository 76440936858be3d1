import type { NatsConnection } from '@nats-io/transport-node';

/** Whether the NATS that one is connected to is older than a version. */
export function isBefore({ info }: Pick<NatsConnection, 'info'>, least: readonly number[]): boolean {
  const parts = (info?.version ?? '').split(/[.-]/).map(Number);
  for (const [index, part] of least.entries()) {
    const own = parts[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
