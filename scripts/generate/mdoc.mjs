/** A manual page in mdoc(7), from a command's table and body. */

import { linkedCommands, parseInline } from "./body.mjs";
import { sentence } from "./commands.mjs";

const MONTHS =
  "January February March April May June July August September October November December".split(
    " ",
  );

/** Titles of the body that mdoc has a name for. */
const TITLES = { "Exit codes": "EXIT STATUS" };

/** The place of a section of the body among those that mdoc prescribes. */
const ORDER = ["Description", "Environment", "Exit codes", "Signals", "Examples", "Notes"];

/** `sectionOf` tells the manual section of a command by its name. */
export function formatManual(command, { release, sectionOf }) {
  const { name, summary, body } = command;
  const sections = body.sections.toSorted((a, b) => position(a.title) - position(b.title));
  const lines = [
    `.Dd ${MONTHS[release.month - 1]} ${release.day}, ${release.year}`,
    `.Dt ${name.toUpperCase()} ${body.section}`,
    `.Os ucspi ${release.version}`,
    ".Sh NAME",
    `.Nm ${name}`,
    `.Nd ${escape(summary)}`,
    ".Sh SYNOPSIS",
    ...formatSynopsis(command),
    ...sections.flatMap((section) => formatSection(section, command, sectionOf)),
    ...formatSeeAlso(body, sectionOf),
  ];
  return `${lines.join("\n")}\n`;
}

function position(title) {
  const at = ORDER.indexOf(title);
  if (at < 0) throw new Error(`no such section: ${title}; there are ${ORDER.join(", ")}`);
  return at;
}

function formatSynopsis({ name, groups, operandsText }) {
  return [
    `.Nm ${name}`,
    ...groups.flatMap(formatGroup),
    ...operandsText.split(" ").filter(Boolean).map(formatOperand),
  ];
}

function formatGroup(forms) {
  if (forms.some(({ argument }) => argument !== undefined)) {
    return forms.map((form) => `.Op ${formatForm(form)}`);
  }
  return [`.Op ${forms.map(formatForm).join(" | ")}`];
}

/** The shorter spelling. */
function formatForm({ short, long, argument }) {
  if (short === undefined) return longForm({ long, argument });
  return argument === undefined ? `Fl ${short}` : `Fl ${short} Ar ${quote(argument)}`;
}

function longForm({ long, argument }) {
  return argument === undefined ? `Fl -${long}` : `Fl -${long} Ns = Ns Ar ${quote(argument)}`;
}

function formatOperand(word) {
  const optional = /^\[(.*)\]$/.exec(word);
  const argument = (text) => `Ar ${quote(text.replace(/\.\.\.$/, ""))}`;
  const dots = word.includes("...") ? " ..." : "";
  return optional === null ? `.${argument(word)}${dots}` : `.Op ${argument(optional[1])}${dots}`;
}

function formatSection({ title, blocks }, command, sectionOf) {
  const lines = blocks.flatMap((block, at) => formatBlock(block, at, sectionOf));
  const options = title === "Description" ? formatOptions(command) : [];
  return [`.Sh ${TITLES[title] ?? title.toUpperCase()}`, ...lines, ...options];
}

function formatOptions({ forms }) {
  return [
    ".Pp",
    "The options are:",
    ".Bl -tag -width Ds",
    ...forms.flatMap((form) => [formatItem(form), ...formatText(optionHelp(form))]),
    ".El",
  ];
}

function formatItem(form) {
  const both = form.short !== undefined && form.long !== undefined;
  return `.It ${formatForm(form)}${both ? ` , ${longForm(form)}` : ""}`;
}

function optionHelp({ help, ours }) {
  return ours === true ? `${sentence(help)} Not in the C suite.` : sentence(help);
}

function formatBlock(block, at, sectionOf) {
  switch (block.kind) {
    case "paragraph":
      return [...(at === 0 ? [] : [".Pp"]), ...formatText(block.text, sectionOf)];
    case "code":
      return [".Bd -literal -offset indent", ...block.lines.map(escapeLine), ".Ed"];
    case "list":
      return formatList("-bullet", block.items, (item) => [".It", ...formatText(item, sectionOf)]);
    case "terms":
      return formatList("-tag -width Ds", block.items, ({ terms, text }) => [
        `.It ${terms.map(formatTerm).join(" , ")}`,
        ...formatText(text, sectionOf),
      ]);
  }
}

function formatList(kind, items, format) {
  return [`.Bl ${kind}`, ...items.flatMap(format), ".El"];
}

/** Codes and signals stand as they are, names of variables are marked. */
function formatTerm(term) {
  if (/^\d+$/.test(term)) return term;
  return term.startsWith("SIG") ? `Dv ${term}` : `Ev ${quote(term)}`;
}

function formatSeeAlso(body, sectionOf) {
  const names = linkedCommands(body).toSorted(
    (a, b) => sectionOf(a) - sectionOf(b) || (a < b ? -1 : 1),
  );
  if (names.length === 0) return [];
  const last = names.length - 1;
  const lines = names.map((name, at) => `.Xr ${name} ${sectionOf(name)}${at < last ? " ," : ""}`);
  return [".Sh SEE ALSO", ...lines];
}

/** Running text: words on text lines, a macro line for each word with something marked in it. */
function formatText(text, sectionOf) {
  const lines = [];
  let words = [];
  const flush = () => {
    if (words.length > 0) lines.push(escapeLine(words.join(" ")));
    words = [];
  };
  for (const word of splitWords(parseInline(text))) {
    if (word.every(({ kind }) => kind === "text")) words.push(word.map((p) => p.text).join(""));
    else {
      flush();
      lines.push(`.${word.map((piece) => formatPiece(piece, sectionOf)).join(" Ns ")}`);
    }
    if (/[.!?]$/.test(words.at(-1) ?? "")) flush();
  }
  flush();
  return lines.map(closingPunctuation);
}

/** Pieces grouped by the blanks in plain text: each group is one word. */
function splitWords(pieces) {
  const words = [[]];
  for (const piece of pieces) {
    if (piece.kind !== "text") {
      words.at(-1).push(piece);
      continue;
    }
    const [first = "", ...more] = piece.text.split(" ");
    for (const [at, text] of [first, ...more].entries()) {
      if (at > 0) words.push([]);
      if (text !== "") words.at(-1).push({ kind: "text", text });
    }
  }
  return words.filter((word) => word.length > 0);
}

function formatPiece({ kind, text }, sectionOf) {
  switch (kind) {
    case "text":
      return `No ${quote(text)}`;
    case "emphasis":
      return `Ar ${quote(text)}`;
    case "link":
      return `Xr ${text} ${sectionOf(text)}`;
    case "code":
      return formatCode(text);
  }
}

function formatCode(text) {
  if (/^--?[\w-]+$/.test(text)) return `Fl ${text.slice(1)}`;
  return /^[A-Z][A-Z0-9]+$/.test(text) ? `Ev ${text}` : `Ql ${quote(text)}`;
}

/** Punctuation after a marked word is an argument of its own in mdoc. */
function closingPunctuation(line) {
  if (!line.startsWith(".")) return line;
  return line.replace(/ Ns No \\&([.,:;?!)]+)$/, (_, marks) => ` ${[...marks].join(" ")}`);
}

/** A macro's argument, safe from being taken for a macro, for punctuation or for several. */
function quote(text) {
  const escaped = escape(text).replaceAll('"', "\\(dq");
  if (/\s/.test(text)) return `"${escaped}"`;
  return /^(?:[A-Z][a-z]{1,2}|[.,:;()[\]?!|]+)$/.test(text) ? `\\&${escaped}` : escaped;
}

function escape(text) {
  return text.replaceAll("\\", "\\e").replaceAll("'", "\\(aq").replaceAll("`", "\\(ga");
}

/** A text line must not begin like a macro. */
function escapeLine(line) {
  const escaped = escape(line);
  return escaped.startsWith(".") ? `\\&${escaped}` : escaped;
}
