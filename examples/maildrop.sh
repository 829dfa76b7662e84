#!/bin/sh
# A mail drop: takes mail over SMTP into a Maildir, after STARTTLS only (RFC 5321, RFC 3207, UCSPI-TLS).
#
#     export KEYFILE=... CERTFILE=...
#     s6-tcpserver 127.0.0.1 2525 s6-ucspitlsd examples/maildrop.sh ./Maildir
#
# Started by s6-ucspitlsd it talks in clear on its standard input and output until the client asks for
# TLS. Then it asks for TLS itself, with one byte on descriptor $SSLCTLFD, and goes on with $SSLREADFD and
# $SSLWRITEFD. What the client has said before counts no more, as RFC 3207 wants it.
set -u

maildir=${1:?usage: maildrop.sh maildir}
host=$(hostname)
message_bytes_max=1000000
secured=no

say() {
  printf '%s\r\n' "$1" || exit 0
}

# One line of the client, without its end. dash and busybox read byte by byte and take no more than that.
listen() {
  IFS= read -r line || exit 0
  line=${line%"$(printf '\r')"}
}

reset() {
  from=no
  recipients=0
}

# "Y": do the handshake, and tell how it went: a list of variables, or nothing at all if it failed.
start_tls() {
  say '220 go ahead'
  eval "exec 8<&$SSLCTLFD 9>&$SSLCTLFD"
  printf Y >&9
  exec 9>&-
  variables=$(tr '\0' '\n' <&8)
  exec 8<&-
  protocol=$(printf '%s\n' "$variables" | sed -n 's/^SSL_PROTOCOL=//p')
  if [ -z "$protocol" ]; then exit 1; fi
  eval "exec <&$SSLREADFD >&$SSLWRITEFD"
  secured=yes
  reset
}

# The message is in `new` with its last byte or not at all (maildir(5)).
receive() {
  say '354 end with a line of one dot'
  name=$(date +%s).$$.$host
  bytes=0
  {
    printf 'Received: from %s by %s with ESMTPS (%s)\n' "$TCPREMOTEIP" "$host" "$protocol"
    while listen && [ "$line" != . ]; do
      bytes=$((bytes + ${#line} + 1))
      if [ "$bytes" -le "$message_bytes_max" ]; then printf '%s\n' "${line#.}"; fi
    done
  } >"$maildir/tmp/$name"
  if [ "$bytes" -gt "$message_bytes_max" ]; then
    rm "$maildir/tmp/$name"
    say '552 the message is too long'
  else
    mv "$maildir/tmp/$name" "$maildir/new/$name"
    say '250 thank you'
  fi
  reset
}

mkdir -p "$maildir/tmp" "$maildir/new" "$maildir/cur" || exit 111
reset
say "220 $host ESMTP"
while listen; do
  command=$(printf '%s' "${line%%[ :]*}" | tr '[:lower:]' '[:upper:]')
  case $command,$secured in
    QUIT,*)
      say '221 good bye'
      exit 0
      ;;
    EHLO,no)
      say "250-$host"
      say '250 STARTTLS'
      ;;
    EHLO,yes) say "250 $host" ;;
    HELO,*) say "250 $host" ;;
    NOOP,*) say '250 fine' ;;
    RSET,*)
      reset
      say '250 forgotten'
      ;;
    STARTTLS,no) start_tls ;;
    MAIL,no | RCPT,no | DATA,no) say '530 must issue a STARTTLS command first' ;;
    MAIL,yes)
      from=yes
      say '250 sender noted'
      ;;
    RCPT,yes)
      if [ "$from" = no ]; then
        say '503 MAIL first'
      else
        recipients=$((recipients + 1))
        say '250 recipient noted'
      fi
      ;;
    DATA,yes) if [ "$recipients" -eq 0 ]; then say '503 RCPT first'; else receive; fi ;;
    *) say '500 no such command' ;;
  esac
done
