# zsh -f offered.zsh DIRECTORY LINE...: prints what zsh offers at the end of each line, with the completions that lie in
# DIRECTORY, and "--" after each. An interactive shell on a terminal of its own is asked: completion works in no other.
zmodload zsh/zpty || exit 1
directory=$1
shift
zpty shell zsh -f -i
zpty -w shell "cd ${(q)PWD}; fpath=(${(q)directory} \$fpath); PROMPT=; PROMPT2="
# What is handed to compadd is written down, but for calls that only ask what would match. The marks are in parts, for
# the terminal prints what is typed too.
zpty -w shell 'autoload -Uz compinit && compinit -u -D
compadd() {
  local -a found
  local end=${@[(i)(-|--)]}
  if (( ${@[1,end]}[(I)-[OAD]*] )); then builtin compadd "$@"; return; fi
  builtin compadd -O found "$@"
  (( $#found == 0 )) || print -rl -- $^found >>| .offered
  builtin compadd "$@"
}
offer() { _main_complete; compstate[insert]= compstate[list]=; print -r -- "END"OF"OFFER" }
zle -C offer complete-word offer
bindkey "^I" offer
bindkey "^U" kill-whole-line
print -r -- "READY"TO"GO"'
zpty -r shell text '*READYTOGO*' || exit 1
for line; do
  rm -f .offered
  zpty -w -n shell "$line"$'\t'
  zpty -r shell text '*ENDOFOFFER*' || exit 1
  zpty -w -n shell $'\x15'
  [[ ! -e .offered ]] || print -r -- "$(<.offered)"
  print -r -- --
done
zpty -d shell
