/** Completion for fish: one file for all commands, to be sourced or put into conf.d. */

import { argumentKind } from "./arguments.mjs";

const ACTIONS = {
  directory: "-a '(__fish_complete_directories)'",
  file: "-F",
  host: "-a '(__fish_print_hostnames)'",
  user: "-a '(__fish_complete_users)'",
  service: "",
  none: "",
};

export function formatFish(commands) {
  const names = commands.map(({ name }) => name).join(" ");
  return `${FUNCTIONS}
${commands.map(formatCommand).join("\n\n")}

complete -c ucspi -f
complete -c ucspi -n __fish_is_first_arg -a '${names}'
complete -c ucspi -n 'not __fish_is_first_arg' -a '(__ucspi_program "" 0)'
`;
}

function formatCommand(command) {
  const { name, forms, operands, takesProgram } = command;
  const valued = quote(valuedOptions(forms));
  const lines = [
    `complete -c ${name} -f`,
    ...forms.map((form) => formatForm(name, form, valued)),
    ...operands.map((operand, index) => formatOperand(name, operand, index, valued)),
  ];
  if (takesProgram) {
    const count = operands.length;
    const condition = quote(`__ucspi_has_operands ${valued} ${count}`);
    const action = quote(`(__ucspi_program ${valued} ${count})`);
    lines.push(`complete -c ${name} -n ${condition} -a ${action}`);
  }
  return lines.filter((line) => line !== "").join("\n");
}

/** The options that take an argument: letters in one word, then long names. */
function valuedOptions(forms) {
  const valued = forms.filter(({ argument }) => argument !== undefined);
  const letters = valued.map(({ short }) => short ?? "").join("");
  const longs = valued.flatMap(({ long }) => (long === undefined ? [] : [`--${long}`]));
  return [letters, ...longs].join(" ");
}

function formatForm(name, { short, long, argument, help }, valued) {
  const parts = [
    `complete -c ${name}`,
    ...(short === undefined ? [] : [`-s ${short}`]),
    ...(long === undefined ? [] : [`-l ${long}`]),
    ...(argument === undefined ? [] : [`-r ${formatAction(argument)}`.trim()]),
    `-n ${quote(`__ucspi_is_operand ${valued} 0`)}`,
    `-d ${quote(help)}`,
  ];
  return parts.join(" ");
}

function formatOperand(name, operand, index, valued) {
  const action = formatAction(operand);
  if (action === "") return "";
  return `complete -c ${name} -n ${quote(`__ucspi_is_operand ${valued} ${index}`)} ${action}`;
}

function formatAction(argument) {
  const { kind, words } = argumentKind(argument);
  return kind === "words" ? `-a '${words.join(" ")}'` : ACTIONS[kind];
}

function quote(text) {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

const FUNCTIONS = `# fish completion for ucspi. Generated from the option tables.

# The words after the options. $argv[1]: the options that take an argument, letters first.
function __ucspi_words
    set -l valued (string split ' ' -- $argv[1])
    set -l letters (string replace -ra '(.)' '$1' -- $valued[1])
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        set -l word $words[1]
        switch $word
            case --
                set -e words[1]
                break
            case '--*'
                set -e words[1]
                contains -- $word $valued[2..-1]; and set -e words[1]
            case '-?*'
                set -e words[1]
                test -n "$letters"; and string match -qr "^-[^$letters]*[$letters]\\$" -- $word
                and set -e words[1]
            case '*'
                break
        end
    end
    test (count $words) -gt 0; and printf '%s\\n' $words
    return 0
end

# Is the word at the cursor operand number $argv[2], counting from 0?
function __ucspi_is_operand
    test (count (__ucspi_words $argv[1])) -eq $argv[2]
end

# Are there $argv[2] operands at least before the word at the cursor?
function __ucspi_has_operands
    test (count (__ucspi_words $argv[1])) -ge $argv[2]
end

# Complete the program after $argv[2] operands.
function __ucspi_program
    set -l words (__ucspi_words $argv[1])
    if test $argv[2] -gt 0
        set -e words[1..$argv[2]]
    end
    # An option of ours, not yet the program.
    not set -q words[1]; and string match -q -- '-*' (commandline -ct); and return
    set -l line (string escape -- $words) (commandline -ct)
    complete --do-complete="$line"
end
`;
