trap 'exit 0' TERM
while :; do
  date >"$DATA_DIR/beat.tmp.$$" && mv "$DATA_DIR/beat.tmp.$$" "$DATA_DIR/beat"
  sleep 1 &
  wait
done
