#!/bin/sh
# An ordinary program: its standard input and output are the connection.
echo "$GREETING, $TCPREMOTEIP port $TCPREMOTEPORT. This is $TCPLOCALIP port $TCPLOCALPORT; you are client $TCPCONNNUM${SSL_PROTOCOL:+, over $SSL_PROTOCOL}."
