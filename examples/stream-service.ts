import { mount } from 'leat';
import type { Service } from './example.ts';
import { streamservice } from './protos.ts';
import { Updates } from './updates.ts';

/** The four methods of `streamservice.StreamService`, each from its own file. */
export const streamService: Service = {
  service: 'streamservice.StreamService',
  port: 50051,

  serve(server, setting) {
    const updates = new Updates(setting);
    void updates.demo();
    mount(server, streamservice.StreamService.service, {
      subscribeToUpdates: updates.source,
    });
    return () => updates.close();
  },
};
