/**
 * Draws the first table of `docs/performance.md` as a chart, light and dark. A full run of the bench draws it anew;
 * `npx tsx bench/chart.ts` does so from the tables that are there.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What is shown of that table, and what a reader calls it. */
const BARS: readonly (readonly [server: string, label: string])[] = [
  ['hand-written', 'hand-written grpc-js'],
  ['connect-node', 'connect-node'],
  ['nice-grpc', 'nice-grpc'],
  ['mount', 'leat mount, async generator'],
  ['wrap', 'leat wrap, hand-written'],
  ['mount-sync', 'leat mount, plain generator'],
];

const THEMES = {
  light: { text: '#1f2328', quiet: '#59636e', other: '#b6bec8', ours: '#0969da' },
  dark: { text: '#e6edf3', quiet: '#9198a1', other: '#57606a', ours: '#4493f8' },
};

export type Theme = keyof typeof THEMES;

/** Messages for each second of CPU time, by the table of a page. */
export function figuresOf(page: string): { label: string; ours: boolean; perSecond: number }[] {
  const table = page.slice(page.indexOf('**One stream of small messages**')).split('\n\n')[1] ?? '';
  const rows = table.split('\n').map(line => line.split('|').map(cell => cell.trim()));
  const column = rows[0]?.indexOf('CPU µs/message') ?? -1;
  return BARS.map(([server, label]) => {
    const perMessage = Number(rows.find(row => row[1] === server)?.[column]);
    if (!(perMessage > 0)) throw new Error(`the table has no CPU time of ${server}`);
    return { label, ours: label.startsWith('leat'), perSecond: 1e6 / perMessage };
  });
}

/** An SVG of a page's figures. */
export function chart(page: string, theme: Theme): string {
  const { text, quiet, other, ours } = THEMES[theme];
  const figures = figuresOf(page);
  const [left, width, row] = [220, 390, 30];
  const most = Math.max(...figures.map(({ perSecond }) => perSecond));
  const bars = figures.map((figure, index) => {
    const y = 58 + index * row;
    const length = Math.max(2, Math.round((figure.perSecond / most) * width));
    return [
      `<text x="${left - 10}" y="${y + 14}" text-anchor="end" fill="${text}">${figure.label}</text>`,
      `<rect x="${left}" y="${y}" width="${length}" height="20" rx="3" fill="${figure.ours ? ours : other}"/>`,
      `<text x="${left + length + 8}" y="${y + 14}" fill="${text}">${short(figure.perSecond)}</text>`,
    ].join('\n');
  });
  const said = figures.map(({ label, perSecond }) => `${label} ${short(perSecond)}`).join(', ');
  const height = 58 + figures.length * row + 8;
  const versions = /^Node [\d.]+, @grpc\/grpc-js [\d.]+/m.exec(page)?.[0] ?? '';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 ${height}" width="720" height="${height}" role="img" aria-label="Messages per second of CPU time: ${said}" font-family="system-ui, -apple-system, 'Segoe UI', sans-serif" font-size="14">
<text x="8" y="20" font-weight="600" fill="${text}">Messages per second and core</text>
<text x="8" y="40" font-size="12" fill="${quiet}">one stream of small messages, CPU time of the server; ${versions}</text>
${bars.join('\n')}
</svg>
`;
}

function short(perSecond: number): string {
  return perSecond >= 1e6 ? `${(perSecond / 1e6).toFixed(1)} million` : `${Math.round(perSecond / 1000)},000`;
}

/** Draws the charts of the page in a folder, beside it. */
export function draw(docs: URL): void {
  const page = readFileSync(new URL('performance.md', docs), 'utf8');
  mkdirSync(new URL('pictures/', docs), { recursive: true });
  for (const theme of ['light', 'dark'] as const)
    writeFileSync(new URL(`pictures/messages-${theme}.svg`, docs), chart(page, theme));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) draw(new URL('../docs/', import.meta.url));
