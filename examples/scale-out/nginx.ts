import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder } from './place.ts';

/** The command of an nginx in front of servers, impatient with streams on which nothing comes. */
export function nginxCommand(port: number, servers: readonly number[]): string[] {
  const place = folder();
  const conf = join(place, 'nginx.conf');
  writeFileSync(
    conf,
    `
daemon off; error_log ${place}/error.log; pid ${place}/pid; user root;
worker_processes 1;
events { worker_connections 4096; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${place}/${name};`).join(' ')}
  upstream servers { ${servers.map(server => `server 127.0.0.1:${server} max_fails=0;`).join(' ')} }
  server {
    listen 127.0.0.1:${port} http2;
    http2_max_concurrent_streams 1000;
    location / {
      grpc_pass grpc://servers;
      grpc_read_timeout 2s;
      grpc_send_timeout 10s;
    }
  }
}
`,
  );
  return ['nginx', '-p', place, '-c', conf];
}
