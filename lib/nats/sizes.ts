/** Some messages, and how large they are together. */
interface Measured {
  readonly bytes: number;
  readonly messages: number;
}

/** Of how many messages the size is remembered. */
const REMEMBERED = 64;

/** How large messages are, the last ones more so. */
export class Sizes {
  private mean: number;

  /** @param before what was stored so far. */
  constructor(before: Measured) {
    this.mean = before.bytes / Math.max(1, before.messages);
  }

  saw(bytes: number): void {
    this.mean += (bytes - this.mean) / REMEMBERED;
  }

  /** How many messages of that size have so many bytes together; at least 1. */
  fitting(room: number, most: number): number {
    return fitting(room, most, { bytes: this.mean, messages: 1 });
  }
}

/** How many messages have so many bytes together, when they are as large as others; at least 1. */
export function fitting(room: number, most: number, { bytes, messages }: Measured): number {
  return bytes > 0 ? Math.ceil(Math.min(most, (room * messages) / bytes)) : most;
}
