if [ "$(cat fault.txt)" = release ]; then
  echo "this commit's release phase fails" >&2
  exit 4
fi
if [ -n "$REFUSE" ]; then
  echo "this config var is refused" >&2
  exit 6
fi
