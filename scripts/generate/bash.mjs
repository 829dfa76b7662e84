/** Completion for bash, which needs no other package; with bash-completion programs get their own. */

import { argumentKind } from "./arguments.mjs";

const ACTIONS = {
  directory: "-d",
  file: "-f",
  host: "-A hostname",
  user: "-u",
  service: "-A service",
  none: "",
};

export function formatBash(commands) {
  const names = [...commands.map(({ name }) => name), "ucspi"].join(" ");
  return FUNCTIONS.replace("@SPECS@", () => commands.map(formatSpec).join("\n"))
    .replaceAll("@NAMES@", names)
    .replaceAll("@ARGUMENTS@", () => commands.flatMap(formatArguments).join("\n"));
}

/** The letters as for getopts, the long names (`=` for those with an argument), the operands. */
function formatSpec({ name, forms, operands, takesProgram }) {
  const letters = forms.map(({ short, argument }) => (short ? short + (argument ? ":" : "") : ""));
  const longs = forms.map(({ long, argument }) => (long ? `${long}${argument ? "=" : ""}` : ""));
  const words = [letters.join(""), longs.filter(Boolean).join(" "), operands.join(" ")];
  const [short, long, own] = words.map((text) => `'${text}'`);
  return `    ${name}) letters=${short} longs=${long} operands=(${own.slice(1, -1).replaceAll("|", "\\|")}) program=${takesProgram ? 1 : 0} ;;`;
}

/** The values of an option's argument or an operand, by command and option or operand. */
function formatArguments({ name, forms, operands }) {
  const options = forms.filter(({ argument }) => argument !== undefined);
  const cases = [
    ...options.flatMap(({ short, long, argument }) => [
      ...(short === undefined ? [] : [[`-${short}`, argument]]),
      ...(long === undefined ? [] : [[`--${long}`, argument]]),
    ]),
    ...operands.map((operand) => [operand, operand]),
  ];
  return cases.flatMap(([word, argument]) => {
    const action = formatAction(argumentKind(argument));
    return action === "" ? [] : [`    '${name} ${word}') reply=(${action}) ;;`];
  });
}

function formatAction({ kind, words }) {
  return kind === "words" ? `-W '${words.join(" ")}'` : ACTIONS[kind];
}

const FUNCTIONS = `# bash completion for ucspi. Generated from the option tables.

# Sets letters, longs, operands and program for the command $1; fails for a foreign one.
_ucspi_spec() {
  case $1 in
@SPECS@
    *) return 1 ;;
  esac
}

# Completes what the command $1 takes at $2, an option or an operand.
_ucspi_argument() {
  local reply=()
  case "$1 $2" in
@ARGUMENTS@
    *) return ;;
  esac
  mapfile -t COMPREPLY < <(compgen "\${reply[@]}" -- "$3")
}

# The words of the line in words, as they were typed: readline also splits them at = and :.
_ucspi_words() {
  local rest=\${COMP_LINE:0:COMP_POINT} word trimmed
  words=()
  for word in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    trimmed=\${rest#"\${rest%%[![:space:]]*}"}
    if [[ \${#words[@]} -eq 0 || $trimmed != "$rest" ]]; then words+=("")
    fi
    words[-1]+=$word
    rest=\${trimmed#"$word"}
  done
}

# Completes a line whose word $1 is the name of a command.
_ucspi_walk() {
  local letters longs operands program name=\${words[$1]##*/} at=$(($1 + 1))
  if [[ $name == ucspi ]]; then
    if ((at == last)); then mapfile -t COMPREPLY < <(compgen -W '@NAMES@' -- "$cur")
    else _ucspi_walk "$at"
    fi
    return
  fi
  if ! _ucspi_spec "$name"; then
    _ucspi_foreign "$1"
    return
  fi
  while ((at < last)); do
    case \${words[at]} in
      --) ((at += 1)); break ;;
      --*=*) ((at += 1)) ;;
      --*) _ucspi_skip_long ;;
      -?*) _ucspi_skip_letters ;;
      *) break ;;
    esac
    if ((at > last)); then return
    fi
  done
  if ((at == last)) && [[ $cur == -* && \${words[at - 1]} != -- ]]; then
    _ucspi_options
    return
  fi
  local index=$((last - at))
  if ((index < \${#operands[@]})); then _ucspi_argument "$name" "\${operands[index]}" "$cur"
  elif ((program)) && ((index == \${#operands[@]})); then
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  elif ((program)); then _ucspi_walk "$((at + \${#operands[@]}))"
  fi
}

# Goes past --name or --name value; completes the value if it is the last word.
_ucspi_skip_long() {
  local word=\${words[at]}
  ((at += 1))
  [[ " $longs " == *" \${word#--}= "* ]] || return
  if ((at == last)); then _ucspi_argument "$name" "$word" "$cur"
  fi
  ((at += 1))
}

# Goes past letters and the argument of the last one; completes that if it is the last word.
_ucspi_skip_letters() {
  local word=\${words[at]} letter index
  ((at += 1))
  for ((index = 1; index < \${#word}; index += 1)); do
    letter=\${word:index:1}
    [[ $letters == *"$letter:"* ]] || continue
    if ((index < \${#word} - 1)); then return
    fi
    if ((at == last)); then _ucspi_argument "$name" "-$letter" "$cur"
    fi
    ((at += 1))
    return
  done
}

_ucspi_options() {
  local letter candidates=() long
  if [[ $cur == --*=* ]]; then
    _ucspi_argument "$name" "\${cur%%=*}" "\${cur#*=}"
    return
  fi
  for long in $longs; do candidates+=("--$long"); done
  if [[ $cur != --* ]]; then
    for ((index = 0; index < \${#letters}; index += 1)); do
      letter=\${letters:index:1}
      [[ $letter == : ]] || candidates+=("-$letter")
    done
  fi
  mapfile -t COMPREPLY < <(compgen -W "\${candidates[*]}" -- "$cur")
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null
  fi
}

# A program that is not ours begins at word $1.
_ucspi_foreign() {
  if declare -F _command_offset >/dev/null; then _command_offset "$1"
  else mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  fi
}

_ucspi() {
  local words cur last index
  _ucspi_words
  last=$((\${#words[@]} - 1))
  cur=\${words[last]}
  COMPREPLY=()
  _ucspi_walk 0
}

complete -o filenames -o bashdefault -F _ucspi @NAMES@
`;
