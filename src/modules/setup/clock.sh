echo @date
date '+%Y|%m|%A|%w|%W|%d|%H|%M|%S|%s|%Z|%z'
