# Short runs of an instance: each says when it begins and ends, and ends with a code that follows from its pid.
# short_run.sh FILE FLAG: two lines go to FILE, each in one write, `begin PID` and `end PID CODE`. Where FLAG exists it
# says nothing and stays.
[ -e "$2" ] && exec sleep 100000
code=$(($$ % 100))
echo "begin $$" >>"$1"
sleep "0.0$((10 + $$ * 37 % 61))"
echo "end $$ $code" >>"$1"
exit "$code"
