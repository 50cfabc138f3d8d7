import type { DescribedCommand } from './described-command.ts';

// Each script knows the tree of commands by heart: completing must not start Node.js at every key.

/** The words typed so far that are commands, joined, choose the branch. */
function cases(commands: readonly DescribedCommand[]): string[] {
  return commands.map(({ path, subcommands, options }) => {
    const words = [...subcommands.map(({ name }) => name), ...options].join(' ');
    return `    '${path}') words='${words}' ;;`;
  });
}

export function bashCompletion(commands: readonly DescribedCommand[]): string {
  return `_pushfleet() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  # Arguments are no commands: the longest path that is one counts.
  while :; do
    case "$path" in
${cases(commands).join('\n')}
    esac
    [ -n "$words" ] || [ -z "$path" ] && break
    case "$path" in *' '*) path="\${path% *}" ;; *) path='' ;; esac
  done
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _pushfleet pushfleet`;
}

export function zshCompletion(commands: readonly DescribedCommand[]): string {
  return `autoload -U +X bashcompinit && bashcompinit
${bashCompletion(commands)}`;
}

export function fishCompletion(commands: readonly DescribedCommand[]): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ path, subcommands, options }) => {
    const names = path === '' ? [] : path.split(' ');
    const children = subcommands.map(({ name }) => name).join(' ');
    const condition =
      names.length === 0
        ? '__fish_use_subcommand'
        : [
            ...names.map((name) => `__fish_seen_subcommand_from ${name}`),
            ...(children === '' ? [] : [`not __fish_seen_subcommand_from ${children}`]),
          ].join('; and ');
    return [
      ...subcommands.map(
        ({ name, description }) =>
          `complete -c pushfleet -f -n ${quoted(condition)} -a ${name} -d ${quoted(description)}`,
      ),
      ...options.map((option) => `complete -c pushfleet -n ${quoted(condition)} -l ${option.slice(2)}`),
    ];
  });
  return lines.join('\n');
}
