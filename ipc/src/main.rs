//! The process of a domain, for programs that are not ready to be one themselves: they name it as
//! [`atoll_ipc::segment::spawn::Program`].

fn main() {
    atoll_ipc::segment::far_side::serve_if_asked();
    eprintln!("this is started by programs that run domains in processes of their own");
    std::process::exit(2);
}
