# gRPC's own interoperability client (Debian's ruby-grpc), case by case in one process:
#
#   ruby interop.rb PORT CASE…        prints "OK case", or "FAILED case: why"
gem = Gem::Specification.find_by_name('grpc').full_gem_path
require File.join(gem, 'src/ruby/pb/test/client.rb')
port, *cases = ARGV
failed = false
cases.each do |name|
  args = Args.new
  args.server_host, args.server_port, args.server_host_override, args.test_case = '127.0.0.1', port, '', name
  begin
    NamedTests.new(create_stub(args), args).method(name).call
    puts "OK #{name}"
  rescue StandardError, ScriptError => e
    failed = true
    puts "FAILED #{name}: #{e.class}: #{e.message}"
  end
end
exit(failed ? 1 : 0)
