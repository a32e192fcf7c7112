%% One session, user, team or workflow: a gen_server that holds it as a term. What is in a term is
%% shared by all that are made of it, so a checkpoint costs nothing.
-module(peer_session).
-behaviour(gen_server).

-export([start_link/2, ask/4]).
-export([init/1, handle_call/3, handle_cast/2]).

-record(state, {items = [], last = 0, count = 0, prompt = 0, completion = 0,
                checkpoints = [], nodes = []}).

%% `undefined`: an empty one.
start_link(Key, State) ->
    gen_server:start_link(?MODULE, {Key, State}, []).

%% Does not wait; the writer gets {reply, Id, Reply}.
ask(Pid, Request, Writer, Id) ->
    gen_server:cast(Pid, {Request, Writer, Id}).

init({Key, undefined}) ->
    init({Key, #state{}});
init({Key, State}) ->
    true = ets:insert(peer_sessions, {Key, self()}),
    {ok, State}.

handle_call(_, _, State) ->
    {reply, not_supported, State}.

handle_cast({Request, Writer, Id}, State) ->
    {Reply, Next} = perform(Request, State),
    Writer ! {reply, Id, Reply},
    {noreply, Next}.

%% Items stand newest first: one more costs the same however many there are.
perform({append, Items}, State) ->
    {ok, State#state{items = lists:reverse(Items, State#state.items)}};
perform({note, Last}, State) ->
    {ok, State#state{last = Last, count = State#state.count + 1}};
perform({usage, Prompt, Completion}, State) ->
    {ok, State#state{prompt = State#state.prompt + Prompt,
                     completion = State#state.completion + Completion}};
perform(checkpoint, State) ->
    {ok, State#state{checkpoints = [State#state.items | State#state.checkpoints]}};
perform({fork, Key}, State) ->
    {ok, _} = peer_node:start_session(Key, State#state{checkpoints = []}),
    {ok, State};
perform({define, Names}, State) ->
    {ok, State#state{nodes = [{Name, <<"pending">>, <<>>} || Name <- Names]}};
perform({node, {Name, _, _} = Node}, State) ->
    {ok, State#state{nodes = lists:keyreplace(Name, 1, State#state.nodes, Node)}};
perform({history, Count}, #state{items = Items} = State) ->
    {{items, lists:reverse(lists:sublist(Items, Count))}, State};
perform(state, State) ->
    {{notes, State#state.last, State#state.count}, State};
perform(everything, State) ->
    {{everything, State#state.last, State#state.count, length(State#state.checkpoints),
      lists:reverse(State#state.items), State#state.nodes}, State}.
