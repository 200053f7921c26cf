if [ "$(cat fault.txt)" = release ]; then
  echo "this commit's release phase fails" >&2
  exit 4
fi
