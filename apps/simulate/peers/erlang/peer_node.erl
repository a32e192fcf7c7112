%% A node that keeps sessions in memory: a gen_server for each, found by its key in an ETS table and
%% started by a supervisor, behind a Unix socket. A request is a frame of {packet, 4}: its number,
%% what is asked, the key, the rest. Answers are frames with the number, in any order.
-module(peer_node).
-behaviour(supervisor).

-export([start/1, start_session/2]).
-export([init/1]).

%% `erl -s peer_node start PATH`, which goes on when this returns.
start([Path]) ->
    spawn(fun() -> serve(atom_to_list(Path)) end).

serve(Path) ->
    Shared = [named_table, public, {read_concurrency, true}, {write_concurrency, true}],
    peer_sessions = ets:new(peer_sessions, Shared),
    peer_cache = ets:new(peer_cache, Shared),
    {ok, _} = supervisor:start_link({local, peer_supervisor}, ?MODULE, []),
    {ok, Listener} = gen_tcp:listen(0, [binary, {ifaddr, {local, Path}},
                                        {packet, 4}, {active, false},
                                        {delay_send, true}]),
    accept(Listener).

start_session(Key, State) ->
    supervisor:start_child(peer_supervisor, [Key, State]).

init([]) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => session, start => {peer_session, start_link, []}, restart => temporary}]}}.

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Connection = spawn_link(fun() -> receive ready -> connection(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Connection),
    Connection ! ready,
    accept(Listener).

%% Reads; another process writes, so that neither waits for the other.
connection(Socket) ->
    Writer = spawn_link(fun() -> write(Socket) end),
    read(Socket, Writer).

read(Socket, Writer) ->
    ok = inet:setopts(Socket, [{active, 100}]),
    receive_some(Socket, Writer).

receive_some(Socket, Writer) ->
    receive
        {tcp, Socket, <<Id:64, What, Size:16, Key:Size/binary, Rest/binary>>} ->
            case handle(What, Key, Rest, Writer, Id) of
                later -> ok;
                Reply -> Writer ! {reply, Id, Reply}
            end,
            receive_some(Socket, Writer);
        {tcp_passive, Socket} -> read(Socket, Writer);
        {tcp_closed, Socket} -> ok
    end.

%% gen_tcp frames one answer a send; {delay_send, true} lets those of a moment leave together.
write(Socket) ->
    receive {reply, Id, Reply} ->
        ok = gen_tcp:send(Socket, [<<Id:64>> | encode(Reply)]),
        write(Socket)
    end.

encode(ok) -> [0];
encode(refused) -> [1];
encode(miss) -> [2];
encode({items, Items}) -> [0 | texts(Items)];
encode({value, Value}) -> [0, Value];
encode({notes, Last, Count}) -> [0, <<Last:64, Count:64>>];
encode({everything, Last, Count, Checkpoints, Items, Nodes}) ->
    [0, <<Last:64, Count:64, Checkpoints:64>>, texts(Items),
     texts([Part || {Name, Status, Result} <- Nodes, Part <- [Name, Status, Result]])].

texts(All) -> [<<(length(All)):32>> | [[<<(byte_size(Text)):32>>, Text] || Text <- All]].

%% What concerns one session goes to it; the cache is read where the request came in.
handle($g, Key, _, _, _) ->
    case ets:lookup(peer_cache, Key) of
        [{_, Value}] -> {value, Value};
        [] -> miss
    end;
handle($p, Key, Value, _, _) ->
    true = ets:insert(peer_cache, {Key, binary:copy(Value)}),
    ok;
handle(What, Key, Rest, Writer, Id) ->
    case ets:lookup(peer_sessions, Key) of
        [{_, Pid}] -> ask(Pid, What, Rest, Writer, Id);
        [] when What =:= $c; What =:= $m; What =:= $d; What =:= $i ->
            {ok, Pid} = start_session(Key, undefined),
            ask(Pid, What, Rest, Writer, Id);
        [] -> refused
    end.

ask(Pid, What, Rest, Writer, Id) ->
    peer_session:ask(Pid, request(What, Rest), Writer, Id),
    later.

request(What, Rest) when What =:= $c; What =:= $a; What =:= $m -> {append, read_texts(Rest)};
request(What, <<Last:64>>) when What =:= $n; What =:= $i -> {note, Last};
request($u, <<Prompt:32, Completion:32>>) -> {usage, Prompt, Completion};
request($k, <<>>) -> checkpoint;
request($f, Key) -> {fork, binary:copy(Key)};
request($d, Rest) -> {define, read_texts(Rest)};
request($x, Rest) -> {node, list_to_tuple(read_texts(Rest))};
request($h, <<Count:32>>) -> {history, Count};
request($s, <<>>) -> state;
request($e, <<>>) -> everything.

%% Copies: a part of a frame would keep all of it.
read_texts(Rest) -> [binary:copy(Text) || <<Size:32, Text:Size/binary>> <= Rest].
