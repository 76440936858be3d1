import { monitorEventLoopDelay } from 'node:perf_hooks';
import { PGlite } from '@electric-sql/pglite';

const mem = () => {
  gc?.();
  const m = process.memoryUsage();
  return `rss ${(m.rss / 1e6) | 0} heap ${(m.heapUsed / 1e6) | 0} ab ${(m.arrayBuffers / 1e6) | 0} ext ${(m.external / 1e6) | 0}`;
};
const h = monitorEventLoopDelay({ resolution: 10 });
h.enable();
const t = performance.now();
const db = await PGlite.create(process.argv[2]);
console.log('start', performance.now() - t, mem(), 'max delay', h.max / 1e6);
for (const n of [10000, 1000000]) {
  let t1 = performance.now();
  await db.exec(
    `drop table if exists large_table; create table large_table as select i as id, 'Record '||i as name, (i*1.5)::numeric(20,2) as value from generate_series(0,${n - 1}) i`,
  );
  console.log(n, performance.now() - t1, mem());
  t1 = performance.now();
  await db.exec('begin isolation level repeatable read read only');
  await db.query('select count(*) from (select * from large_table) q');
  console.log('count', performance.now() - t1);
  t1 = performance.now();
  await db.query('declare c no scroll cursor for select * from large_table');
  let k = 0,
    mx = 0;
  for (;;) {
    const t2 = performance.now();
    const r = await db.query('fetch 10000 from c', [], { rowMode: 'array' });
    mx = Math.max(mx, performance.now() - t2);
    if (!r.rows.length) break;
    k += r.rows.length;
  }
  console.log('fetch', k, performance.now() - t1, 'max', mx, mem());
  await db.exec('commit');
}
try {
  await db.exec(`set statement_timeout=200`);
  const t3 = performance.now();
  await db.query('select count(*) from generate_series(1,5000000)');
  console.log('no timeout', performance.now() - t3);
} catch (e: any) {
  console.log(e.message);
}
