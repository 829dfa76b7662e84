/**
 * The body of a manual page: a small part of Markdown, as blocks that the manual and the reference
 * pages are made from. A title `# name(section)`, sections `##`, paragraphs, fenced code, and lists. A
 * list whose items all begin with code and a colon is a list of terms.
 *
 * Inline: `code`, _emphasis_ and [links](to.md) to other commands.
 */

/** { name, section, sections: [{ title, blocks }] } */
export function parseBody(text) {
  const [head = "", ...rest] = text.split(/^## /m);
  const title = /^# (\S+)\((\d)\)$/.exec(head.trim());
  if (title === null) throw new Error(`not a title: ${head.trim()}`);
  const [, name, section] = title;
  return { name, section: Number(section), sections: rest.map(parseSection) };
}

function parseSection(text) {
  const end = text.indexOf("\n");
  return {
    title: text.slice(0, end),
    text: text.slice(end).trim(),
    blocks: parseBlocks(text, end),
  };
}

function parseBlocks(text, from) {
  const lines = text.slice(from).split("\n");
  const blocks = [];
  while (lines.length > 0) {
    if (lines[0] === "") lines.shift();
    else if (lines[0].startsWith("```")) blocks.push(takeCode(lines));
    else if (lines[0].startsWith("- ")) blocks.push(takeList(lines));
    else blocks.push({ kind: "paragraph", text: takeWhile(lines, isPlain).join(" ") });
  }
  return blocks;
}

function isPlain(line) {
  return line !== "" && !line.startsWith("```");
}

function takeWhile(lines, matches) {
  const taken = [];
  while (lines.length > 0 && matches(lines[0])) taken.push(lines.shift());
  return taken;
}

function takeCode(lines) {
  lines.shift();
  const code = takeWhile(lines, (line) => line !== "```");
  lines.shift();
  return { kind: "code", lines: code };
}

function takeList(lines) {
  const items = [];
  while (lines[0]?.startsWith("- ")) {
    const [first, ...more] = [lines.shift(), ...takeWhile(lines, (line) => line.startsWith("  "))];
    items.push([first.slice(2), ...more.map((line) => line.trim())].join(" "));
  }
  const terms = items.map((item) => /^((?:`[^`]+`(?:, )?)+): (.*)$/.exec(item));
  if (terms.some((term) => term === null)) return { kind: "list", items };
  return {
    kind: "terms",
    items: terms.map(([, term, text]) => ({
      terms: term.split(", ").map((code) => code.slice(1, -1)),
      text,
    })),
  };
}

const INLINE = /`([^`]+)`|\[([^\]]+)\]\(([^)]+)\)|(?<![\w])_([^_]+)_(?![\w])/g;

/** The pieces of a text: { kind: "text" | "code" | "link" | "emphasis", text, target? } */
export function parseInline(text) {
  const pieces = [];
  let end = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > end) pieces.push({ kind: "text", text: text.slice(end, found.index) });
    pieces.push(inlinePiece(found));
    end = found.index + found[0].length;
  }
  if (end < text.length) pieces.push({ kind: "text", text: text.slice(end) });
  return pieces;
}

function inlinePiece([, code, link, target, emphasis]) {
  if (code !== undefined) return { kind: "code", text: code };
  if (link !== undefined) return { kind: "link", text: link, target };
  return { kind: "emphasis", text: emphasis };
}

/** The commands that a body links to. */
export function linkedCommands(body) {
  const texts = body.sections.map(({ text }) => text).join("\n");
  const names = [...texts.matchAll(/\]\(((?:s6|ucspi)-[\w-]+)\.md\)/g)].map(([, name]) => name);
  return [...new Set(names)].filter((name) => name !== body.name);
}
