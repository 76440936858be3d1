import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ts } from '@ts-morph/common';
import { entries } from '../entries.ts';

/** A comment: what it says first, and what stands under its tags. */
export interface Doc {
  readonly text: string;
  readonly tags: ReadonlyMap<string, readonly string[]>;
}

/** A member of an exported interface, class or object type. */
export interface Member {
  readonly name: string;
  readonly optional: boolean;
  /** All of it but its comment, on one line. */
  readonly declared: string;
  readonly type: string;
  readonly doc: Doc | undefined;
}

/** What one name stands for. */
export interface Item {
  readonly name: string;
  readonly kind: 'function' | 'class' | 'const' | 'type';
  /** All of it but comments; of functions, one text for each overload. */
  readonly declared: readonly string[];
  readonly parameters: number;
  readonly doc: Doc | undefined;
  readonly members: readonly Member[];
  /** The subpath that has it first, as others may have it, too. */
  readonly home: string;
}

/** One subpath: what its module says of itself, and its names. */
export interface Subpath {
  /** As it is imported. */
  readonly name: string;
  readonly doc: Doc | undefined;
  readonly items: readonly Item[];
}

export interface Surface {
  readonly subpaths: readonly Subpath[];
  /** What the public declarations name and no subpath exports. */
  readonly unexported: readonly Item[];
}

/** Reads the declarations that were built into a folder. */
export function read(folder: string): Surface {
  const reader = new Reader(resolve(folder));
  const subpaths = [...entries].map(([name, source]) => reader.subpath(name, source));
  return { subpaths, unexported: reader.unexported() };
}

const printer = ts.createPrinter({ removeComments: true });

class Reader {
  private readonly program: ts.Program;
  private readonly checker: ts.TypeChecker;
  private readonly items = new Map<ts.Symbol, Item>();

  constructor(private readonly folder: string) {
    const roots = [...entries.values()].map(source => join(folder, `${source}.d.ts`));
    // What others declare is not looked at, and only costs time.
    const options: ts.CompilerOptions = { noLib: true, types: [], skipLibCheck: true };
    const host = ts.createCompilerHost(options);
    host.resolveModuleNameLiterals = (names, from) =>
      names.map(({ text }) => ({ resolvedModule: text.startsWith('.') ? found(from, text) : undefined }));
    this.program = ts.createProgram(roots, options, host);
    this.checker = this.program.getTypeChecker();
  }

  subpath(subpath: string, source: string): Subpath {
    const name = subpath === '.' ? 'leat' : `leat/${subpath}`;
    const file = this.program.getSourceFile(join(this.folder, `${source}.d.ts`)) as ts.SourceFile;
    const module = this.checker.getSymbolAtLocation(file) as ts.Symbol;
    const exported = this.checker.getExportsOfModule(module).sort((a, b) => (a.name < b.name ? -1 : 1));
    const items = exported.map(symbol => this.item(this.origin(symbol), symbol.name, name));
    return { name, doc: moduleDoc(readFileSync(`${source}.ts`, 'utf8')), items };
  }

  /** What the items name, those name, and so on. */
  unexported(): Item[] {
    const exported = new Set(this.items.keys());
    for (const symbol of this.items.keys()) {
      for (const node of symbol.declarations ?? []) this.name(node);
    }
    const found = [...this.items].filter(([symbol]) => !exported.has(symbol)).map(([, item]) => item);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  private name(node: ts.Node): void {
    const symbol = ts.isIdentifier(node) ? this.checker.getSymbolAtLocation(node) : undefined;
    const origin = symbol && this.origin(symbol);
    const declared = origin?.declarations?.some(
      ({ kind, parent }) =>
        kind !== ts.SyntaxKind.TypeParameter &&
        (ts.isSourceFile(parent) || ts.isVariableDeclarationList(parent)),
    );
    if (origin && declared) this.item(origin, origin.name, '');
    ts.forEachChild(node, child => this.name(child));
  }

  private origin(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
  }

  private item(symbol: ts.Symbol, name: string, home: string): Item {
    const known = this.items.get(symbol);
    if (known) return known;
    const nodes = symbol.declarations ?? [];
    const [node] = nodes;
    if (node === undefined) throw new Error(`${home} exports ${name}, which is declared nowhere`);
    const made: Item = {
      name,
      kind: kindOf(node),
      declared: nodes.map(node => textOf(node)),
      parameters: ts.isFunctionDeclaration(node) ? node.parameters.length : 0,
      doc: nodes.map(docOf).find(doc => doc),
      members: membersOf(node),
      home,
    };
    this.items.set(symbol, made);
    return made;
  }
}

function found(from: string, specifier: string): ts.ResolvedModuleFull {
  const resolvedFileName = join(from, '..', specifier.replace(/\.js$/, '.d.ts'));
  return { resolvedFileName, extension: ts.Extension.Dts };
}

function kindOf(node: ts.Declaration): Item['kind'] {
  if (ts.isFunctionDeclaration(node)) return 'function';
  if (ts.isClassDeclaration(node)) return 'class';
  return ts.isVariableDeclaration(node) ? 'const' : 'type';
}

function textOf(node: ts.Node): string {
  const whole = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const text = printer.printNode(ts.EmitHint.Unspecified, whole, node.getSourceFile());
  return text.replace(/^(export )?(declare )?/, '');
}

function membersOf(node: ts.Declaration): Member[] {
  const type = ts.isTypeAliasDeclaration(node) ? node.type : node;
  if (!ts.isInterfaceDeclaration(type) && !ts.isClassDeclaration(type) && !ts.isTypeLiteralNode(type))
    return [];
  return [...type.members].filter(isPublic).map(member => {
    const declared = textOf(member).replace(/\s+/g, ' ').replace(/;$/, '');
    const typed = member as ts.PropertySignature;
    return {
      name: member.name?.getText() ?? 'constructor',
      optional: (ts.isPropertySignature(member) || ts.isMethodSignature(member)) && !!member.questionToken,
      declared,
      type: typed.type?.getText() ?? '',
      doc: docOf(member),
    };
  });
}

function isPublic(member: ts.Node): boolean {
  return !(ts.getCombinedModifierFlags(member as ts.Declaration) & ts.ModifierFlags.Private);
}

function docOf(node: ts.Node): Doc | undefined {
  const whole = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const comment = ts.getJSDocCommentsAndTags(whole).filter(ts.isJSDoc).at(-1);
  if (comment === undefined) return undefined;
  const tags = new Map<string, string[]>();
  for (const tag of comment.tags ?? []) {
    const name = tag.tagName.text;
    tags.set(name, [...(tags.get(name) ?? []), (ts.getTextOfJSDocComment(tag.comment) ?? '').trim()]);
  }
  return { text: (ts.getTextOfJSDocComment(comment.comment) ?? '').trim(), tags };
}

/** The comment that a file begins with, if it says that it is of the module. */
function moduleDoc(source: string): Doc | undefined {
  const [, comment] = source.match(/^\/\*\*([\s\S]*?)\*\//) ?? [];
  if (!comment?.includes('@module')) return undefined;
  const lines = comment.split('\n').map(line => line.replace(/^\s*\* ?/, ''));
  return { text: lines.join('\n').replace('@module', '').trim(), tags: new Map() };
}
