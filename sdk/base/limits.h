/*
 * limits.h - every bound in one place: its reason, and what a caller gets when it is hit.
 */
#ifndef PW_LIMITS_H
#define PW_LIMITS_H

/* Values and text */
#define PW_DEPTH_MAX 128 /* nesting of msgpack and JSON: no recursion on input; LIMIT */
#define PW_VALUE_BYTES_MAX (64u << 20)       /* one value: fits memory and one blob; LIMIT */
#define PW_SCOPE_BYTES_MAX ((size_t)1 << 32) /* one arena; NOMEM */
#define PW_BUF_BYTES_MAX ((size_t)256 << 20) /* one buffer without its own maximum; NOMEM */
#define PW_ID_BYTES_MAX 200    /* run ids: printable ASCII without spaces and '/' edges; INVALID */
#define PW_NAME_BYTES_MAX 100  /* workflow, activity, signal, key names; INVALID */
#define PW_TEXT_BYTES_MAX 1000 /* reasons, progress text: cut */
#define PW_PROMPT_BYTES_MAX \
    65536                /* of a described wait: what is longer belongs in .show; BadOption */
#define PW_VOTES_MAX 100 /* of one wait, and deferrals, and its quorum: FULL, BadOption */
#define PW_CHOICES_BYTES_MAX 511 /* all choices of a described wait; BadOption */
#define PW_CONVO_KEPT_BYTES \
    (8u << 20) /* of conversations, read lately by tasks: the rest is read again */
#define PW_CONVO_BYTES_MAX \
    (16u << 20) /* messages of one append to a conversation: one row of the journal; BadOption */

/* Journal */
#define PW_INLINE_BYTES_MAX 4096       /* larger payloads become blobs: rows stay small */
#define PW_BLOB_CHUNK_BYTES (1u << 20) /* blobs above are written in chunks before their group */
#define PW_GROUPS_IN_FLIGHT_MAX 2
#define PW_GROUP_TURNS_MIN 32 /* a group with fewer turns waits for more while others are ready */
#define PW_GROUP_SHOW_TURNS \
    8 /* a group's turns that the journal gets at a time, while more are on their way */
#define PW_GROUP_SHOW_SYNCS 4 /* building what is shown takes no longer than so many syncs */
#define PW_GROUP_SHOW_OPS \
    1024 /* that a group has room for which is shown: its array must not move */
#define PW_GROUP_TURNS_MAX \
    4096 /* frozen runs keep their stacks: two groups in flight and one begun need 24576 mappings */
#define PW_GROUP_OPS_MAX 16384 /* one commit: bounds latency of a group */
#define PW_COMPACT_RUNS \
    64 /* closed runs compacted at a time: what the next commit may have to wait for */
#define PW_COMPACT_ROWS 4096         /* their turns together; a run with more is left as it is */
#define PW_COMPACT_BYTES (8u << 20)  /* of one run; larger ones are left as they are */
#define PW_COMPACT_KEYS 1024         /* runs looked at for them */
#define PW_BALLAST_BYTES (16u << 20) /* released at ENOSPC so that pause and cancel still work */
#define PW_CACHE_ROWS_MAX 10000      /* results kept for later calls; those that expire first go */
#define PW_CACHE_BYTES_MAX \
    (64 << 20) /* of them together, in a file: a journal is backed up whole */
#define PW_CACHE_VALUE_BYTES_MAX (1u << 20) /* a larger result is not kept for later calls */
#define PW_CACHE_SWEEP_ROWS \
    64 /* expired ones that go with a new one, and how often the rest are counted */
#define PW_PAGE_ROWS_MAX 1000           /* one page of a listing */
#define PW_RECORD_BYTES_MAX (32u << 20) /* one turn's record: LIMIT fails the run */

/* The memory store */
#define PW_MEMO_NAME_BYTES_MAX 100 /* of a space, and of a key; BadOption */
#define PW_MEMO_BYTES_MAX \
    (64u << 10) /* of a memory, its text and its data: it is shown to a model; BadOption */
#define PW_MEMOS_MAX 100000    /* of one space: MemoryFull */
#define PW_MEMO_WORD_BYTES 32  /* a word is cut there */
#define PW_MEMO_WORDS_MAX 512  /* distinct ones of a text: further ones do not find it */
#define PW_MEMO_QUERY_WORDS 16 /* of a search: further ones do not count */
#define PW_MEMO_HITS_MAX \
    4096 /* of one word of a search: what it costs does not grow with the store */
#define PW_MEMO_FOUND_MAX 100 /* rows that a search gives */

/* Collections of texts and vectors */
#define PW_INDEX_NAME_BYTES_MAX 100         /* of a collection, a workspace, a tag; INVALID */
#define PW_INDEX_KEY_BYTES_MAX 200          /* of an item; INVALID */
#define PW_INDEX_TEXT_BYTES_MAX (64u << 10) /* of an item's text, and of its data; INVALID */
#define PW_INDEX_TAGS_MAX 64                /* of an item, and of a query; INVALID */
#define PW_INDEX_WIDTH_MAX 4096             /* numbers of a vector; INVALID */
#define PW_INDEX_PUT_MAX 256 /* items of one request: what other commits wait for; LIMIT */
#define PW_INDEX_PUT_BYTES_MAX (8u << 20)
#define PW_INDEX_ITEMS_MAX 10000000    /* of one collection; FULL */
#define PW_INDEX_COLLECTIONS_MAX 1000  /* FULL */
#define PW_INDEX_QUERY_WORDS 64        /* of a query; further ones do not count */
#define PW_INDEX_WORD_BYTES 64         /* of a query's word; longer ones do not count */
#define PW_INDEX_FOUND_MAX 10000       /* items that a search by words gives */
#define PW_INDEX_PAGE_ROWS 1024        /* items of one reply */
#define PW_INDEX_PAGE_BYTES (4u << 20) /* of one reply; it has one item at least */

/* Engine */
#define PW_MAILBOX_ITEMS_MAX 65536 /* FULL to the caller */
#define PW_LIVE_RUNS_DEFAULT 4096  /* fibers kept: about 17 MB; host option */
#define PW_LIVE_RUNS_MAX 16384 /* guard pages cost two mappings each; vm.max_map_count is 65530 */
#define PW_STACK_BYTES (256u << 10)    /* reserved per fiber, touched pages only are used */
#define PW_STACK_BYTES_MIN (16u << 10) /* smaller requests are rounded up */
#define PW_STACK_BYTES_MAX (64u << 20) /* LIMIT */
#define PW_STACK_GUARD_BYTES \
    (64u << 10) /* inaccessible, below each stack: wide, so that a big frame cannot step over it */
#define PW_STACK_WARM_BYTES (16u << 10) /* touched pages a pooled stack keeps */
#define PW_RUN_BLOCKS_POOLED_MAX \
    32 /* of 256 KiB: 8 MB of what large histories took are kept for the next */
#define PW_STACKS_POOLED_MAX 1024 /* at most 16 MB kept; more are unmapped */
#define PW_COMMANDS_PER_TURN_MAX \
    10000 /* a turn that never waits: the run fails with TooManyCommands */
#define PW_NOOP_COMMANDS_MAX \
    10000 /* after a failure nobody looks at: the run fails with IgnoredFailure */
#define PW_BRANCHES_MAX 1024       /* pawl_go in one run: LIMIT failure */
#define PW_OPEN_COMMANDS_MAX 10000 /* of one run */
#define PW_BUDGET_SUM_MAX \
    (INT64_MAX /          \
     2) /* of a unit, spent or reserved; DAMAGED: what can be added up stays below it for ever */
#define PW_BUDGET_DEPTH_MAX \
    16 /* budgets one above the other; what is deeper counts beside its parent */
#define PW_BUDGET_NAMED_MAX 8          /* above one run, by name; INVALID */
#define PW_BUDGET_SPENT_BYTES_MAX 2000 /* of what a worker says was spent; more counts as unknown */
#define PW_BUDGET_RESERVE_BYTES_MAX 1000 /* of what a call reserves, as a value; BadOption */
#define PW_BUDGET_NAME_MAX 100           /* bytes; INVALID */
#define PW_SIGNALS_MAX 100000            /* unread signals of one run: FULL to the sender */
#define PW_MAP_ITEMS_MAX 10000000
#define PW_MAP_WIDTH_MAX 10000 /* items of one map under way: more are not started */
#define PW_MAP_NOTES_MAX \
    1024 /* ends of items that wait for a commit, and so may be repeated after a crash */
#define PW_MAP_NOTE_BYTES_MAX (16u << 20) /* their results */
#define PW_MAP_PART_BYTES 7800    /* a part of a page grows to this: about one page of the file */
#define PW_MAP_TAILS 8            /* parts that may still grow, kept per map */
#define PW_TIMER_WINDOW_MS 600000 /* timers due later than this live in the journal only */
#define PW_LOCAL_STEP_WARN_MS 50
#define PW_HELD_SCOPE_BYTES \
    (1u << 20) /* debug_held warns of a run that has more memory than this while it waits */
#define PW_WATCHDOG_ABORT_MS 10000
#define PW_CRASHES_MAX 3              /* then the run opens paused as "crashed" */
#define PW_TIMER_MS_MAX 3155760000000 /* 100 years */
#define PW_SNAPSHOT_EVENTS 200        /* a folded run is snapshot every so many events */
#define PW_STOP_MS \
    2000 /* at close, for activities to see that they were told to stop; after the drain */
#define PW_STREAM_CHANNEL_MAX 64
#define PW_STREAM_PIECE_MAX 16384  /* bytes of a piece of output */
#define PW_STREAM_TAIL_BYTES 32768 /* kept of each attempt's output for who begins to follow it */
#define PW_STREAM_MAIL_BYTES (8 << 20) /* of output on its way to the engine; more is lost */
#define PW_HEARTBEAT_WRITE_MS 1000     /* heartbeat detail is written at most this often */

/* Activities */
#define PW_POLL_NAMES_MAX 4096        /* activities times queues of one poll: LIMIT */
#define PW_QUEUE_LIMIT_MAX 1000000000 /* attempts at a time, starts a second, burst; INVALID */
#define PW_TOKEN_SECRET_BYTES \
    16 /* random, in the token of each attempt that a worker elsewhere runs */
#define PW_READ_BACK_MS \
    60000 /* for a read-back to begin, and to end when its call has no timeout: then the run asks */
#define PW_POOL_THREADS_DEFAULT 4
#define PW_POOL_THREADS_MAX 256
#define PW_RUNNERS_MAX 16              /* that activities bring along; LIMIT */
#define PW_OUTPUT_BYTES_MAX (1u << 20) /* captured output of a process: the tail is kept */

/* Network */
#define PW_NET_TRANSFERS_MAX \
    4096 /* under way at a time, fewer where descriptors are scarce: the rest waits its turn */
#define PW_NET_WAITING_MAX 65536              /* that wait their turn: FULL to the caller */
#define PW_NET_IDLE_CONNECTIONS_MAX 256       /* kept open for the next request */
#define PW_HTTP_URL_BYTES_MAX 65536           /* INVALID */
#define PW_HTTP_REQUEST_HEAD_BYTES_MAX 262144 /* names and values of one request; INVALID */
#define PW_HTTP_HEAD_BYTES_MAX 262144         /* of one response, trailers included: HeadTooLarge */
#define PW_HTTP_HEADERS_MAX 1000              /* lines of it */
#define PW_HTTP_BODY_BYTES_DEFAULT (16u << 20) /* of a response, decoded: TooLarge */
#define PW_HTTP_BODY_BYTES_MAX (64u << 20)     /* as a value */
#define PW_HTTP_REDIRECTS_DEFAULT 5
#define PW_HTTP_REDIRECTS_MAX 20
#define PW_HTTP_CONNECT_MS 10000 /* name, connection and TLS */
#define PW_HTTP_FIRST_BYTE_MS \
    120000 /* from the start, or the last byte sent, to the first byte of the response */
#define PW_HTTP_IDLE_MS 60000             /* between two bytes of the response */
#define PW_HTTP_TOTAL_MS 600000           /* the whole of it, redirects included */
#define PW_HTTP_TIMEOUT_MS_MAX 86400000   /* any of them: a day */
#define PW_RETRY_AFTER_MS_MAX 604800000   /* a server may ask for a week of patience; more is cut */
#define PW_HTTP_ERROR_BODY_BYTES_MAX 4096 /* of a failed response, shown in the failure */
#define PW_EGRESS_RULES_MAX 4096          /* INVALID */
#define PW_SECRET_BYTES_MAX 65536         /* of one value; INVALID */
#define PW_SECRET_BYTES_MIN \
    4                     /* a shorter one cannot be hidden without hiding everything: INVALID */
#define PW_SECRETS_MAX 32 /* of one request; INVALID */
#define PW_SECRET_COMMAND_MS 30000
#define PW_SSE_EVENT_BYTES_MAX (4u << 20) /* of one event; LIMIT */
#define PW_MCP_CALLS_MAX 256  /* calls of MCP servers at a time, a thread each: the rest waits */
#define PW_MCP_SERVERS_MAX 64 /* remembered; those that nobody uses make room */
#define PW_MCP_MESSAGE_BYTES_MAX (32u << 20) /* one message of a server */
#define PW_MCP_INBOX_BYTES_MAX (64u << 20)   /* messages that one call has not looked at */
#define PW_MCP_PROCESS_IDLE_MS \
    600000                          /* a server process that nobody has used for so long is ended */
#define PW_HTTP_EVENTS_MAX 100000   /* events of one response, as a value */
#define PW_SSE_FIELD_BYTES_MAX 4096 /* an event's type, an id; longer ones are ignored */

/* Language models */
#define PW_LLM_ANSWER_BYTES_MAX \
    (16u << 20) /* a streamed answer put together, structure included: BadModelResponse */
#define PW_LLM_FIELDS_MAX 256 /* of one streamed object: looked up one by one; BadModelResponse */
#define PW_LLM_ITEMS_MAX 1024 /* parts or calls of one streamed answer; BadModelResponse */
#define PW_LLM_MAX_TOKENS_DEFAULT \
    8192 /* where the wire demands a number and the request has none */
#define PW_LLM_CALLS_SHOWN_MAX \
    16                         /* of one answer, while it comes; later ones come with the answer */
#define PW_LLM_ENDPOINTS_MAX 8 /* of one call; INVALID */
#define PW_LLM_ERROR_BYTES_MAX \
    (64u << 10) /* of a response that is no answer: the rest is not read */
#define PW_LLM_FIRST_BYTE_MS (10 * 60 * 1000) /* models think before they speak */
#define PW_LLM_IDLE_MS (5 * 60 * 1000)
#define PW_LLM_TOTAL_MS (60 * 60 * 1000)
#define PW_LLM_KEPT_BYTES \
    (8u << 20) /* messages as they were sent lately, of one engine; older ones are written anew */
#define PW_LLM_TAIL_BYTES 1000   /* of the answer so far, shown by a heartbeat */
#define PW_LLM_POLL_MS 2000      /* between two looks at an answer in the background */
#define PW_LLM_WITHDRAW_MS 10000 /* for telling a provider that nobody wants the answer any more */
#define PW_LLM_POLL_FAILURES_MAX \
    5                        /* in a row: then the attempt fails, and the next one looks again */
#define PW_LLM_REPAIRS_MAX 3 /* a model that fails so often will fail again: each try is paid */
#define PW_LLM_REPAIR_BYTES_MAX 6000 /* of the message that asks for a mended answer: cut */
#define PW_LLM_EXTRACT_TRIES_MAX 64  /* places in a text where JSON may begin: NOTFOUND */

/* Replies */
#define PW_REPLY_BYTES_SMALL \
    1024 /* room made with the call: what a change of a run is answered with always fits */

/* Reads and watches */
#define PW_WATCH_EVENTS_MAX \
    8192 /* of one watcher that does not dispatch: more are dropped and counted */
#define PW_VIEW_BLOB_BYTES_MAX \
    (8u << 20) /* a payload shown whole; larger ones are shown as a reference */
#define PW_VIEW_SCAN_ROWS_MAX \
    100000 /* rows one listing looks at: then a page ends early and says where to go on */
#define PW_FILTER_TERMS_MAX 64 /* of one listing filter; INVALID */

/* Control protocol */
#define PW_FRAME_BYTES_MAX (64u << 20)
#define PW_CLIENTS_MAX 256
#define PW_CLIENT_REQUESTS_MAX 4096            /* unanswered requests of one connection: FULL */
#define PW_CLIENT_QUEUE_BYTES_MAX (128u << 20) /* a slow client is cut */

/* Remote workers: before the token is known a peer gets little room and little time */
#define PW_RELAY_LINKS_MAX \
    160 /* connections, leaving room for others among PW_CLIENTS_MAX; closed */
#define PW_RELAY_STRANGERS_MAX 32  /* of them without a token yet; closed */
#define PW_RELAY_GREETING_MS 10000 /* from the connection to the token: cut */
#define PW_RELAY_HELLO_BYTES_MAX \
    (256u << 10)                 /* the first frame, with the tasks that a worker still has: cut */
#define PW_RELAY_IDLE_MS 60000   /* without a byte; a worker says something every 15 s: cut */
#define PW_RELAY_FRAME_MS 600000 /* one frame, begun to whole: cut */
#define PW_RELAY_REFUSALS_MAX 16 /* of one connection: cut */
#define PW_RELAY_AHEAD_BYTES \
    (1u << 20)                  /* waiting for the other side: no more is read until it has left */
#define PW_RELAY_GRACE_MS 30000 /* how long a worker that was cut off may take to come back */
#define PW_TOKENS_BYTES_MAX (1u << 20) /* the file of tokens: LIMIT */

#endif
