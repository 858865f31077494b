// What bench/rpc compares with: gRPC C++'s asynchronous server (Debian's 1.51) of the same .proto, with nothing behind it: System.Info from
// a completion queue, one thread, as gRPC's own documentation has it.
//
//	grpc_async HOST:PORT [CERTIFICATE KEY]
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <grpcpp/grpcpp.h>
#include "skep/v1/system.grpc.pb.h"

using skep::v1::System;
using skep::v1::SystemInfo;

namespace {

// Always so many wait for calls: with one alone a burst would come in one by one.
constexpr int kWaiting = 1000;

class Call {
public:
	Call(System::AsyncService *service, grpc::ServerCompletionQueue *queue)
		: service_(service), queue_(queue), responder_(&context_)
	{
		service_->RequestInfo(&context_, &request_, &responder_, queue_, queue_, this);
	}
	void Go()
	{
		if (finished_) {
			delete this;
			return;
		}
		new Call(service_, queue_);
		SystemInfo reply;
		reply.set_version("0.1.0");
		reply.set_instance("018f4c2e-7d1a-7c3b-9f00-0a1b2c3d4e5f");
		reply.mutable_started_at()->set_seconds(1760000000);
		finished_ = true;
		responder_.Finish(reply, grpc::Status::OK, this);
	}

private:
	System::AsyncService *service_;
	grpc::ServerCompletionQueue *queue_;
	grpc::ServerContext context_;
	google::protobuf::Empty request_;
	grpc::ServerAsyncResponseWriter<SystemInfo> responder_;
	bool finished_ = false;
};

std::string Read(const char *path)
{
	std::ifstream file(path);
	std::ostringstream text;
	text << file.rdbuf();
	return text.str();
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 4) {
		std::cerr << "usage: grpc_async HOST:PORT [CERTIFICATE KEY]\n";
		return 2;
	}
	std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
	if (argc == 4) {
		grpc::SslServerCredentialsOptions options;
		options.pem_key_cert_pairs.push_back({Read(argv[3]), Read(argv[2])});
		credentials = grpc::SslServerCredentials(options);
	}
	System::AsyncService service;
	grpc::ServerBuilder builder;
	builder.AddListeningPort(argv[1], credentials);
	builder.RegisterService(&service);
	builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1000);
	std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
	std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
	if (!server)
		return 1;
	std::cout << "listening" << std::endl;
	for (int i = 0; i < kWaiting; i++)
		new Call(&service, queue.get());
	void *tag;
	bool ok;
	while (queue->Next(&tag, &ok))
		if (ok)
			static_cast<Call *>(tag)->Go();
		else
			delete static_cast<Call *>(tag);
}
