/**
 * An EventSource as browsers have it, over `fetch`: it comes back with its last id after every end, and stops at 204 and
 * at what is not 200.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class TestEventSource extends EventTarget {
  onmessage: ((event: MessageEvent) => void) | undefined;
  readyState = 0;
  /** How often it has connected. */
  opened = 0;
  private lastEventId = '';
  private retryMs = 3000;
  private readonly left = new AbortController();

  constructor(
    readonly url: string,
    private readonly headers: Record<string, string> = {},
    /** Divides the time until it comes back. */
    private readonly haste = 1,
  ) {
    super();
    void this.run();
  }

  close(): void {
    this.readyState = 2;
    this.left.abort();
  }

  private async run(): Promise<void> {
    while (this.readyState !== 2) {
      await this.connect().catch(() => {});
      if (this.readyState === 2) break;
      this.readyState = 0;
      this.dispatchEvent(new Event('error'));
      await new Promise(resolve => setTimeout(resolve, this.retryMs / this.haste));
    }
    this.dispatchEvent(new Event('error'));
  }

  private async connect(): Promise<void> {
    const id = this.lastEventId === '' ? {} : { 'last-event-id': this.lastEventId };
    const headers = { accept: 'text/event-stream', ...this.headers, ...id };
    const response = await fetch(this.url, { headers, signal: this.left.signal });
    const type = response.headers.get('content-type') ?? '';
    if (response.status !== 200 || !type.startsWith('text/event-stream')) {
      this.readyState = 2;
      return;
    }
    this.readyState = 1;
    this.opened += 1;
    this.dispatchEvent(new Event('open'));
    let rest = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = `${rest}${chunk}`.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.take(block);
    }
  }

  private take(block: string): void {
    let [name, data] = ['message', ''];
    for (const line of block.split('\n')) {
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
      if (field === 'event') name = value;
      if (field === 'data') data += `${value}\n`;
      if (field === 'id') this.lastEventId = value;
      if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    }
    if (data === '') return;
    const event = new MessageEvent(name, { data: data.slice(0, -1), lastEventId: this.lastEventId });
    this.dispatchEvent(event);
    if (name === 'message') this.onmessage?.(event);
  }
}
