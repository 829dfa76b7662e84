/** Completion for zsh: one function for all commands, found through its #compdef line. */

import { argumentKind } from "./arguments.mjs";

const ACTIONS = {
  directory: "_directories",
  file: "_files",
  host: "_hosts",
  user: "_users",
  service: "_ports",
  none: " ",
};

export function formatZsh(commands) {
  const names = commands.map(({ name }) => name).join(" ");
  return `#compdef ${names} ucspi
# zsh completion for ucspi. Generated from the option tables.

_ucspi() {
  local curcontext=$curcontext state
  typeset -A opt_args
  case $service in
${commands.map(formatCommand).join("\n")}
    ucspi)
      _arguments '(-)1:command:(${names})' '*:: :->command' && return
      service=$words[1]
      _ucspi
      ;;
  esac
}

_ucspi "$@"
`;
}

function formatCommand({ name, forms, operands, takesProgram }) {
  const specs = [...forms.flatMap(formatForm), ...operands.map(formatOperand)];
  if (takesProgram) {
    specs.push("'(-):program: _command_names -e'", "'*::arguments of the program: _normal'");
  }
  return [`    ${name})`, `      _arguments -s -S -A '-*' \\`, formatSpecs(specs), "      ;;"].join(
    "\n",
  );
}

function formatSpecs(specs) {
  return specs.map((spec) => `        ${spec}`).join(" \\\n");
}

function formatForm({ short, long, argument, help }) {
  const text = `[${escape(help).replaceAll("[", "\\[").replaceAll("]", "\\]")}]`;
  const after = argument === undefined ? "" : `:${escape(argument)}:${formatAction(argument)}`;
  const letter = argument === undefined ? `-${short}` : `-${short}+`;
  const word = argument === undefined ? `--${long}` : `--${long}=`;
  return [...(short === undefined ? [] : [letter]), ...(long === undefined ? [] : [word])].map(
    (spelling) => `'*${spelling}${text}${after}'`,
  );
}

function formatOperand(operand) {
  return `':${escape(operand)}:${formatAction(operand)}'`;
}

function formatAction(argument) {
  const { kind, words } = argumentKind(argument);
  return kind === "words" ? `(${words.join(" ")})` : ACTIONS[kind];
}

/** For a spec in single quotes. */
function escape(text) {
  return text.replaceAll("'", `'\\''`).replaceAll(":", "\\:");
}
