# A web server with only Ruby's socket library, so that the example needs no gem. An app with a
# framework has a config.ru and another line in its Gemfile, see README.md.
require "socket"

$stdout.sync = true # else the log shows nothing until a buffer is full

server = TCPServer.new("127.0.0.1", Integer(ENV.fetch("PORT", "3000")))
trap("TERM") { exit }
puts "listening on port #{server.addr[1]}"

def answer(client)
  method = client.gets.to_s.split.first
  nil until ["", nil].include?(client.gets&.chomp) # the headers, up to the empty line
  body = "Hello from Ruby\n"
  client.write "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" \
               "Content-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n"
  client.write body unless method == "HEAD"
rescue SystemCallError, IOError
  # the visitor hung up
ensure
  client.close
end

loop { Thread.new(server.accept) { |client| answer(client) } }
