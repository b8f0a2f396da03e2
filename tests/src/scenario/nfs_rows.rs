//! What aliases of NFS tell while `works share` does its work (tests/src/bin/works.rs), as rows: aliases, variables or other
//! expressions, and the values that follow from that work. `#` is the version, `@` the inode of the file `new`; where a row
//! begins with `*`, only what happens in the program itself counts.

/// What the client and the server do to files.
pub(super) const FILES: &str = r#"
* nfs.fop.llseek : offset whence whence_str = 3 0 SEEK_SET
* nfs.fop.llseek.return : retstr = 3
* nfs.fop.mmap : file_name vm_end-vm_start = new 4096
* nfs.fop.mmap.return : retstr = 0
* nfs.fop.open : filename flag&0x4403 i_size = new 17410 10000
* nfs.fop.open.return : retstr = -22
* nfs.fop.flush : mode&3 ino = 3 @
* nfs.fop.flush.return : retstr = 0
* nfs.fop.release : mode&3 ino = 3 @
* nfs.fop.release.return : retstr = 0
* nfs.fop.fsync : ino argstr = @ @
* nfs.fop.fsync.return : retstr = 0
* nfs.fop.lock : cmd fl_type fl_start fl_end i_mode = 6 1 5 14 33184 | 6 2 5 14 33184
* nfs.fop.lock.return : retstr = 0
* nfs.fop.read_iter : count pos size units file_name = 100 5 100 bytes new
* nfs.fop.read_iter.return : retstr size = 100 100
* nfs.fop.write_iter : count pos file_name = 10000 0 new | 10 5000 new | 10 100 new
* nfs.fop.write_iter.return : retstr size units = 10000 10000 bytes | 10 10 bytes
* nfs.fop.check_flags : flag = 1024 | 0
* nfs.fop.check_flags.return : retstr = 0 | -22
* nfs.fop.read : len pos ino argstr==sprintf("%d,\40%d,\40%p",len,pos,buf) = 100 5 @ 1
* nfs.fop.read.return : name retstr = nfs.fop.read.return 100
* nfs.fop.write : len pos ino = 10000 0 @ | 10 5000 @
* nfs.fop.write.return : name retstr = nfs.fop.write.return 10000 | nfs.fop.write.return 10
* nfs.aop.readpage : page_index ino size units i_size rsize = 1 @ 1 pages 10000 4096
* nfs.aop.readpage.return : retstr size = 0 1
* nfs.aop.readpages : nr_pages ino rsize rpages = 3 @ 4096 1
* nfs.aop.readpages.return : retstr = N/A
* nfs.aop.writepages : ino wsize wpages for_reclaim = @ 4096 1 0
* nfs.aop.writepages.return : retstr = 0
* nfs.aop.write_begin : ino pos to count size = @ 5000 5010 10 10
* nfs.aop.write_begin.return : retstr = 0
* nfs.aop.write_end : ino pos to count size = @ 5000 5010 10 10
* nfs.aop.write_end.return : retstr = 10
* nfs.aop.set_page_dirty : page_flag&1 argstr==sprintf("%d",page_flag) = 1 1
* nfs.aop.set_page_dirty.return : retstr = 1
* nfs.proc.open : filename flag&3 version ip_ntop(server_ip) prot = new 2 3 127.0.0.1 6
* nfs.proc.open.return : retstr = 0
* nfs.proc4.handle_exception nfs.proc.handle_exception : errorcode version = -2 4
* nfs.proc4.handle_exception.return nfs.proc.handle_exception.return : retstr = -2
nfs.proc.lookup nfs.proc3.lookup nfs.proc4.lookup : filename name_len argstr ip_ntop(server_ip) prot version = no-such-name 12 no-such-name 127.0.0.1 6 #
nfs.proc3.lookup.return nfs.proc4.lookup.return : retstr version = -2 #
nfs.proc.create nfs.proc3.create nfs.proc4.create : filename filelen mode&4095 ip_ntop(server_ip) prot version = made 4 384 127.0.0.1 6 #
nfs.proc3.create.return nfs.proc4.create.return : retstr version = 0 #
nfs.proc3.remove nfs.proc4.remove : filename filelen ip_ntop(server_ip) prot version = moved 5 127.0.0.1 6 # | new 3 127.0.0.1 6 #
nfs.proc3.remove.return nfs.proc4.remove.return : retstr version = 0 #
nfs.proc3.rename_setup nfs.proc4.rename_setup : fh!=0 ip_ntop(server_ip) prot version = 1 127.0.0.1 6 #
nfs.proc3.rename_setup.return nfs.proc4.rename_setup.return : retstr retvalue version = N/A 0 #
nfs.proc3.rename_done nfs.proc4.rename_done : status old_fh==new_fh ip_ntop(server_ip) prot version = 0 1 127.0.0.1 6 #
nfs.proc3.rename_done.return nfs.proc4.rename_done.return : retstr version = 1 #
nfs.proc3.read_setup nfs.proc4.read_setup : count offset units ip_ntop(server_ip) prot version = 4096 0 bytes 127.0.0.1 6 # | 4096 4096 bytes 127.0.0.1 6 #
nfs.proc3.read_setup.return nfs.proc4.read_setup.return : retstr retvalue version = N/A 0 #
nfs.proc3.read_done nfs.proc4.read_done : status count ip_ntop(server_ip) prot version = 4096 4096 127.0.0.1 6 # | 1808 1808 127.0.0.1 6 #
nfs.proc3.read_done.return nfs.proc4.read_done.return : retstr version = 0 #
nfs.proc3.write_setup nfs.proc4.write_setup : count offset how ip_ntop(server_ip) prot version = 4096 0 0 127.0.0.1 6 # | 1808 8192 0 127.0.0.1 6 #
nfs.proc3.write_setup.return nfs.proc4.write_setup.return : retstr retvalue version = N/A 0 #
nfs.proc3.write_done nfs.proc4.write_done : status count ip_ntop(server_ip) prot version = 4096 4096 127.0.0.1 6 # | 1808 1808 127.0.0.1 6 #
nfs.proc3.write_done.return nfs.proc4.write_done.return : retstr version = 0 #
nfs.proc3.commit_setup nfs.proc4.commit_setup : count offset ip_ntop(server_ip) prot version = 0 0 127.0.0.1 6 #
nfs.proc3.commit_setup.return nfs.proc4.commit_setup.return : retstr retvalue version = N/A 0 #
nfs.proc3.commit_done nfs.proc4.commit_done : status count ip_ntop(server_ip) prot version = 0 0 127.0.0.1 6 #
nfs.proc3.commit_done.return nfs.proc4.commit_done.return : retstr version = 0 #
nfsd.proc.lookup nfsd.proc3.lookup nfsd.proc4.lookup : filename filelen uid gid client_ip proto version = no-such-name 12 0 0 127.0.0.1 6 #
nfsd.proc3.lookup.return nfsd.proc4.lookup.return : status retstr client_ip version = 2 nfsderr 2(NFSERR_NOENT) 127.0.0.1 #
nfsd.proc3.create : filename filelen uid gid client_ip proto version = made 4 0 0 127.0.0.1 6 3 | new 3 0 0 127.0.0.1 6 3
nfsd.proc4.create : filename filelen uid gid client_ip proto version = inner 5 0 0 127.0.0.1 6 4
nfsd.proc3.create.return nfsd.proc4.create.return : status retstr client_ip version = 0 nfsderr 0(NFS_OK) 127.0.0.1 #
nfsd.proc3.remove nfsd.proc4.remove : filename filelen uid gid client_ip proto version = moved 5 0 0 127.0.0.1 6 # | new 3 0 0 127.0.0.1 6 #
nfsd.proc3.remove.return nfsd.proc4.remove.return : status retstr client_ip version = 0 nfsderr 0(NFS_OK) 127.0.0.1 #
nfsd.proc.rename nfsd.proc3.rename nfsd.proc4.rename : filename filelen tname tlen uid gid client_ip proto version = made 4 moved 5 0 0 127.0.0.1 6 #
nfsd.proc3.rename.return nfsd.proc4.rename.return : status retstr client_ip version = 0 nfsderr 0(NFS_OK) 127.0.0.1 #
nfsd.proc3.read nfsd.proc4.read : count offset units uid gid client_ip proto version = 4096 0 bytes 0 0 127.0.0.1 6 #
nfsd.proc3.read.return nfsd.proc4.read.return : status retstr client_ip version = 0 nfsderr 0(NFS_OK) 127.0.0.1 #
nfsd.proc3.write nfsd.proc4.write : count offset stable uid gid client_ip proto version = 4096 4096 0 0 0 127.0.0.1 6 # | 1808 8192 0 0 0 127.0.0.1 6 #
nfsd.proc3.write.return nfsd.proc4.write.return : status retstr client_ip version = 0 nfsderr 0(NFS_OK) 127.0.0.1 #
nfsd.proc3.commit nfsd.proc4.commit : count offset uid gid client_ip proto version = 0 0 0 0 127.0.0.1 6 #
nfsd.proc3.commit.return nfsd.proc4.commit.return : status retstr client_ip version = 0 nfsderr 0(NFS_OK) 127.0.0.1 #
nfsd.open : type client_ip = 16384 127.0.0.1
nfsd.open.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.read : count offset size client_ip = 4096 0 4096 127.0.0.1
nfsd.read.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.write : count offset size client_ip = 1808 8192 1808 127.0.0.1
nfsd.write.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.commit : count offset client_ip = 0 0 127.0.0.1
nfsd.commit.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.lookup : filename filelen client_ip = no-such-name 12 127.0.0.1
nfsd.lookup.return : status retstr = 2 nfsderr 2(NFSERR_NOENT)
nfsd.create : filename filelen type iap_mode&511 client_ip = inner 5 16384 488 127.0.0.1
nfsd.create.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.unlink : filename filelen client_ip = moved 5 127.0.0.1 | inner 5 127.0.0.1
nfsd.unlink.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.rename : filename filelen tname tlen client_ip = made 4 moved 5 127.0.0.1
nfsd.rename.return : status retstr = 0 nfsderr 0(NFS_OK)
nfsd.dispatch : version proto prog client_ip = 3 6 100003 127.0.0.1 | 4 6 100003 127.0.0.1
nfsd.dispatch.return : retstr = 1
"#;

/// What clients and servers ask of the layer below them while file systems are mounted, and a server is stopped and started.
pub(super) const CALLS: &str = r#"
sunrpc.clnt.create_client : servername progname prog vers prot port authflavor = 127.0.0.1 nfs 100003 3 6 2049 1
sunrpc.clnt.create_client.return : substr(retstr,0,2) = 0x
sunrpc.clnt.clone_client : servername progname prog vers prot = 127.0.0.1 nfs 100003 4 6
sunrpc.clnt.clone_client.return : substr(retstr,0,2) = 0x
sunrpc.clnt.bind_new_program : servername old_progname old_prog old_vers progname prog vers = 127.0.0.1 nfs 100003 3 nfsacl 100227 3
sunrpc.clnt.bind_new_program.return : substr(retstr,0,2) = 0x
sunrpc.clnt.shutdown_client : servername progname prog vers prot port tasks rpccnt>0 = 127.0.0.1 nfs 100003 3 6 2049 0 1
sunrpc.clnt.shutdown_client.return : retstr = N/A
sunrpc.clnt.call_sync : servername progname prog vers prot port procname proc = 127.0.0.1 nfs 100003 3 6 2049 FSINFO 19
sunrpc.clnt.call_sync.return : retstr = 0
sunrpc.sched.new_task : prog vers prot = 100003 3 6 | 100003 4 6
sunrpc.sched.new_task.return : substr(retstr,0,2) = 0x
sunrpc.sched.release_task : prog vers prot = 100003 3 6 | 100003 4 6
sunrpc.sched.release_task.return : retstr = N/A
sunrpc.sched.execute : prog vers prot tk_pid>0 = 100003 3 6 1 | 100003 4 6 1
sunrpc.sched.execute.return : retstr = N/A
sunrpc.svc.create : progname prog = lockd 100021
sunrpc.svc.create.return : substr(retstr,0,2) = 0x
sunrpc.svc.register : sv_name progname prog = lockd lockd 100021
sunrpc.svc.register.return : retstr = 0
sunrpc.svc.destroy : sv_name sv_progname sv_prog sv_nrthreads = nfsd nfsd 100003 0
sunrpc.svc.destroy.return : retstr = N/A
sunrpc.svc.process : sv_name sv_prog ip_ntop(peer_ip) rq_prot = nfsd 100003 127.0.0.1 6
sunrpc.svc.process.return : retstr = N/A
sunrpc.svc.authorise : sv_name rq_prog rq_vers rq_prot ip_ntop(peer_ip) = nfsd 100003 3 6 127.0.0.1 | nfsd 100003 4 6 127.0.0.1
sunrpc.svc.authorise.return : retstr = 0
sunrpc.svc.recv : sv_name sv_prog = nfsd 100003
sunrpc.svc.recv.return : retstr = N/A
sunrpc.svc.send : sv_name rq_prog rq_vers rq_prot ip_ntop(peer_ip) = nfsd 100003 3 6 127.0.0.1 | nfsd 100003 4 6 127.0.0.1
sunrpc.svc.send.return : retstr = N/A
"#;
