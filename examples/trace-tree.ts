import type { tracing } from '@opentelemetry/sdk-node';

type Span = Parameters<tracing.SpanExporter['export']>[0][number];
type Exported = Parameters<tracing.SpanExporter['export']>[1];

const BAR = 32;

/** Prints the spans of each trace as a tree, with a bar for when each of them ran; all at the end. */
export class TraceTree implements tracing.SpanExporter {
  private readonly spans: Span[] = [];

  constructor(private readonly print: (line: string) => void) {}

  export(spans: Span[], done: Exported): void {
    this.spans.push(...spans);
    done({ code: 0 });
  }

  async shutdown(): Promise<void> {
    for (const trace of new Set(this.spans.map(traceOf))) {
      const spans = this.spans.filter(span => traceOf(span) === trace);
      const ids = new Set(spans.map(span => span.spanContext().spanId));
      const roots = spans.filter(({ parentSpanContext }) => !ids.has(parentSpanContext?.spanId ?? ''));
      this.print(`trace ${trace}`);
      for (const root of roots) this.show(root, spans, root, '', '');
    }
  }

  private show(span: Span, all: Span[], root: Span, head: string, indent: string): void {
    const name = `${head}${span.name}`.padEnd(40);
    const tookMs = millis(span.duration).toFixed(1).padStart(7);
    this.print(`${name} ${tookMs} ms ${barOf(span, root)}${tellingOf(span)}`.trimEnd());
    const { spanId } = span.spanContext();
    const inner = all.filter(({ parentSpanContext }) => parentSpanContext?.spanId === spanId);
    inner.sort((one, other) => millis(one.startTime) - millis(other.startTime));
    for (const [i, child] of inner.entries()) {
      const last = i === inner.length - 1;
      this.show(child, all, root, `${indent}${last ? '└ ' : '├ '}`, `${indent}${last ? '  ' : '│ '}`);
    }
  }
}

const traceOf = (span: Span): string => span.spanContext().traceId;

const millis = ([seconds, nanos]: readonly [number, number]): number => seconds * 1000 + nanos / 1e6;

/** Where a span lies within the whole. */
function barOf(span: Span, root: Span): string {
  const whole = Math.max(millis(root.duration), 1e-3);
  const at = (time: number) => Math.round(Math.min(Math.max(time / whole, 0), 1) * BAR);
  const from = Math.min(at(millis(span.startTime) - millis(root.startTime)), BAR - 1);
  const length = Math.max(at(millis(span.duration)), 1);
  return `${' '.repeat(from)}${'█'.repeat(Math.min(length, BAR - from))}`.padEnd(BAR);
}

/** What a span of a stream says beside its time. */
function tellingOf({ attributes }: Span): string {
  const { 'rpc.status_code': code, 'leat.stream.message.count': messages } = attributes;
  return code === undefined ? '' : ` ${code}, ${messages} messages`;
}
