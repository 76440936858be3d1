import type { Item, Surface } from './surface.ts';

/** Everything that is public and nothing of what it means: what a review has to look at when it changes. */
export function report({ subpaths, unexported }: Surface): string {
  const parts = ['# The surface of the package', 'Written by `npm run api`, held by `spec/package.spec.ts`.'];
  for (const { name, items } of subpaths) {
    const own = items.filter(item => item.home === name).flatMap(declared);
    const others = items.filter(item => item.home !== name).map(item => `// ${item.name}, of ${item.home}`);
    parts.push(`## ${name}`, `\`\`\`ts\n${[...others, ...own].join('\n\n')}\n\`\`\``);
  }
  parts.push(
    '## Named by these, exported by none',
    `\`\`\`ts\n${unexported.flatMap(declared).join('\n\n')}\n\`\`\``,
  );
  return `${parts.join('\n\n')}\n`;
}

function declared(item: Item): string[] {
  return item.declared.map(text => text.replaceAll('    ', '  '));
}
