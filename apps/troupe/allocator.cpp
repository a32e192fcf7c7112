// The node's allocator is jemalloc (docs/adr/0023-the-nodes-allocator.md), which looks for this.
// What was freed goes back to the system within seconds, also when nothing happens any more.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0";
}
