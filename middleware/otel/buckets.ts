/** The boundaries that the semantic conventions ask for durations, in seconds. */
export const DURATION: number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The boundaries of pauses in a stream, in seconds. */
export const GAP: number[] = [0.001, 0.01, 0.1, 1, 5, 10, 30, 60, 300, 900, 3600];

/** The boundaries of gRFC A66 for latencies in seconds. */
export const LATENCY: number[] = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
  0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65,
  0.8, 1, 2, 5, 10, 20, 50, 100,
];

/** The boundaries of gRFC A66 for sizes in bytes. */
export const SIZE: number[] = [
  0, 1024, 2048, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456, 1073741824,
  4294967296,
];

/** The boundaries of gRFC A66 for counts. */
export const COUNT: number[] = [0, ...Array.from({ length: 17 }, (_, power) => 2 ** power)];
