package words

// helpPINs is the help of kaztoken pin, rename, format and check.
var helpPINs = []helpEntry{
	{"Show, check, change and unblock PINs", "ПИН кодтарды көрсету, тексеру, өзгерту және бұғаттан шығару", "Показать, проверить, изменить и разблокировать PIN-коды"},
	{
		"Show, check, change and unblock the PINs of a token: the user's and the administrator's. Each has its own counter: after so many wrong tries in a row, 10 as a rule, it is blocked. The administrator unblocks the user PIN. Nobody unblocks the administrator PIN.",
		"Токеннің ПИН кодтарын — Пайдаланушының және Әкімшінің — көрсетеді, тексереді, өзгертеді және бұғаттан шығарады. Әрқайсысының өз санағышы бар: қатарынан бірнеше қате әрекеттен кейін, әдетте 10, ПИН код бұғатталады. Пайдаланушының ПИН кодын Әкімші бұғаттан шығарады. Әкімшінің ПИН кодын ешкім бұғаттан шығара алмайды.",
		"Показать, проверить, изменить и разблокировать PIN-коды токена: Пользователя и Администратора. У каждого свой счётчик: после нескольких неверных попыток подряд, обычно 10, PIN-код блокируется. PIN-код Пользователя разблокирует Администратор. PIN-код Администратора не разблокирует никто.",
	},
	{
		"A PIN is typed at a prompt, or read from the first line of a file (--pin-file) or of an open descriptor (--pin-fd). It is never an argument. A wrong PIN ends the command; nothing is tried again.",
		"ПИН код сұралғанда теріледі, немесе файлдың (--pin-file) не ашық дескриптордың (--pin-fd) бірінші жолынан оқылады. Ол ешқашан аргумент болмайды. ПИН код қате болса, пәрмен аяқталады; ештеңе қайталанбайды.",
		"PIN-код вводится по запросу или читается из первой строки файла (--pin-file) либо открытого дескриптора (--pin-fd). Аргументом он не бывает. Неверный PIN-код завершает команду; ничто не повторяется.",
	},
	{"Change a PIN", "ПИН кодты өзгерту", "Изменить PIN-код"},
	{
		"Change the PIN of the user or, with --whose admin, the administrator's. Whoever's PIN it is logs in to change it; the administrator changes the user PIN with --as admin, where the token's policy allows it.",
		"Пайдаланушының ПИН кодын немесе --whose admin болса, Әкімшінікін өзгертеді. Өзгерту үшін сол ПИН кодтың иесі кіреді; токен саясаты рұқсат етсе, Пайдаланушының ПИН кодын Әкімші --as admin арқылы өзгертеді.",
		"Изменить PIN-код Пользователя или, с --whose admin, Администратора. Для этого входит тот, чей это PIN-код; Администратор меняет PIN-код Пользователя с --as admin, если это разрешает политика токена.",
	},
	{
		"The new PIN is typed twice, or read from --new-pin-file or --new-pin-fd.",
		"Жаңа ПИН код екі рет теріледі, немесе --new-pin-file не --new-pin-fd арқылы оқылады.",
		"Новый PIN-код вводится дважды или берётся из --new-pin-file либо --new-pin-fd.",
	},
	{"who logs in, if it is another: user or admin", "басқа біреу болса, кім кіреді: user немесе admin", "кто входит, если это другой: user или admin"},
	{"whose PIN is changed: user or admin", "кімнің ПИН коды өзгереді: user немесе admin", "чей PIN-код меняется: user или admin"},
	{"Show the tries left of both PINs", "Екі ПИН кодтың қалған әрекеттерін көрсету", "Показать, сколько осталось попыток у обоих PIN-кодов"},
	{
		"Show the tries left of both PINs and their limits. It costs no try and needs no log-in.",
		"Екі ПИН кодтың қалған әрекеттері мен шектерін көрсетеді. Ол әрекет санын азайтпайды және кіруді қажет етпейді.",
		"Показать, сколько осталось попыток у обоих PIN-кодов, и их пределы. Попыток это не расходует и входа не требует.",
	},
	{
		`--json prints an object with the keys user and administrator, each with
  left, max (tries), min_length, max_length (bytes), blocked
Numbers that the token does not tell are -1.`,
		`--json болса, user және administrator кілттері бар нысан шығады, әрқайсысында
  left, max (әрекеттер), min_length, max_length (байт), blocked
Токен айтпаған сандар -1 болады.`,
		`С --json выводится объект с ключами user и administrator, в каждом
  left, max (попытки), min_length, max_length (байты), blocked
Числа, которых токен не сообщает, равны -1.`,
	},
	{"Unblock the user PIN", "Пайдаланушының ПИН кодын бұғаттан шығару", "Разблокировать PIN-код Пользователя"},
	{
		"Restore the tries of the user PIN; the administrator logs in. With --new-pin, --new-pin-file or --new-pin-fd the user gets a new PIN as well, where the token's policy lets the administrator change it.",
		"Пайдаланушының ПИН кодының әрекеттерін қалпына келтіреді; Әкімші кіреді. --new-pin, --new-pin-file немесе --new-pin-fd болса, токен саясаты Әкімшіге рұқсат еткен жағдайда Пайдаланушыға жаңа ПИН код та беріледі.",
		"Восстановить попытки PIN-кода Пользователя; входит Администратор. С --new-pin, --new-pin-file или --new-pin-fd Пользователь получает и новый PIN-код, если политика токена разрешает Администратору его менять.",
	},
	{"ask for a new user PIN as well", "Пайдаланушының жаңа ПИН кодын да сұрау", "запросить и новый PIN-код Пользователя"},
	{"Check a PIN", "ПИН кодты тексеру", "Проверить PIN-код"},
	{
		"Check a PIN, and warn if it is the default one. A wrong PIN costs a try and ends with exit code 4.",
		"ПИН кодты тексереді және ол әдепкі болса, ескертеді. Қате ПИН код бір әрекетті алады, шығу коды 4 болады.",
		"Проверить PIN-код и предупредить, если это PIN-код по умолчанию. Неверный PIN-код расходует попытку, код завершения тогда 4.",
	},
	{"whose PIN: user or admin", "кімнің ПИН коды: user немесе admin", "чей PIN-код: user или admin"},

	{"Give the token a name", "Токенге ат беру", "Дать токену имя"},
	{
		"Give the token a name. The user logs in, or with --as admin the administrator.",
		"Токенге ат береді. Пайдаланушы кіреді, --as admin болса, Әкімші.",
		"Дать токену имя. Входит Пользователь, а с --as admin Администратор.",
	},
	{"who logs in: user or admin", "кім кіреді: user немесе admin", "кто входит: user или admin"},

	{"Erase the token and set it up anew", "Токенді тазалап, қайта баптау", "Стереть токен и настроить его заново"},
	{
		"Erase the token and set it up anew. All certificates, keys and objects are lost. Whatever is not given gets its standard value, the PINs too: 12345678 for the user, 87654321 for the administrator.",
		"Токенді тазалап, қайта баптайды. Барлық сертификаттар, кілттер мен нысандар жоғалады. Берілмегеннің бәрі стандартты мәнге ие болады, ПИН кодтар да: Пайдаланушыға 12345678, Әкімшіге 87654321.",
		"Стереть токен и настроить его заново. Все сертификаты, ключи и объекты будут потеряны. Всё, что не задано, получает стандартное значение, в том числе PIN-коды: 12345678 у Пользователя, 87654321 у Администратора.",
	},
	{
		"The administrator logs in, unless the administrator PIN is blocked or the token has none. The command names the token and asks before it begins. Do not unplug the token until it is done; if it happened, format again.",
		"Әкімші кіреді, егер оның ПИН коды бұғатталмаған болса және токенде ондай ПИН код болса. Пәрмен бастамас бұрын токенді атап, сұрайды. Аяқталғанша токенді ажыратпаңыз; ажыратылып қалса, қайта пішімдеңіз.",
		"Входит Администратор, кроме случаев, когда его PIN-код заблокирован или на токене его нет. Прежде чем начать, команда называет токен и спрашивает. Не отключайте токен, пока она не закончит; если это случилось, форматируйте снова.",
	},
	{
		`--policy says who may change the user PIN:
  user   the user alone; the administrator unblocks it, and cannot set it
  admin  the administrator alone
  both   either (the standard)`,
		`--policy Пайдаланушының ПИН кодын кім өзгерте алатынын айтады:
  user   тек Пайдаланушы; Әкімші бұғаттан шығарады, бірақ өзгерте алмайды
  admin  тек Әкімші
  both   екеуі де (стандартты)`,
		`--policy говорит, кто может менять PIN-код Пользователя:
  user   только Пользователь; Администратор разблокирует, но не меняет
  admin  только Администратор
  both   и тот, и другой (стандартно)`,
	},
	{"minimum length of the administrator PIN, 1 to 31 bytes", "Әкімшінің ПИН кодының ең аз ұзындығы, 1-31 байт", "минимальная длина PIN-кода Администратора, от 1 до 31 байта"},
	{"minimum length of the user PIN, 1 to 31 bytes", "Пайдаланушының ПИН кодының ең аз ұзындығы, 1-31 байт", "минимальная длина PIN-кода Пользователя, от 1 до 31 байта"},
	{"tries of the administrator PIN, 3 to 10", "Әкімшінің ПИН кодын енгізу әрекеттері, 3-10", "попытки ввода PIN-кода Администратора, от 3 до 10"},
	{"tries of the user PIN, 1 to 10", "Пайдаланушының ПИН кодын енгізу әрекеттері, 1-10", "попытки ввода PIN-кода Пользователя, от 1 до 10"},
	{"read the new administrator PIN from the first line of `FILE`", "Әкімшінің жаңа ПИН кодын `FILE` файлының бірінші жолынан оқу", "взять новый PIN-код Администратора из первой строки файла `FILE`"},
	{
		"read the new administrator PIN from a line of the open descriptor `N`; 0 is standard input",
		"Әкімшінің жаңа ПИН кодын ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять новый PIN-код Администратора из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"read the present administrator PIN from the first line of `FILE`", "Әкімшінің қазіргі ПИН кодын `FILE` файлының бірінші жолынан оқу", "взять нынешний PIN-код Администратора из первой строки файла `FILE`"},
	{
		"read the present administrator PIN from a line of the open descriptor `N`; 0 is standard input",
		"Әкімшінің қазіргі ПИН кодын ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять нынешний PIN-код Администратора из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"read the new user PIN from the first line of `FILE`", "Пайдаланушының жаңа ПИН кодын `FILE` файлының бірінші жолынан оқу", "взять новый PIN-код Пользователя из первой строки файла `FILE`"},
	{
		"read the new user PIN from a line of the open descriptor `N`; 0 is standard input",
		"Пайдаланушының жаңа ПИН кодын ашық `N` дескрипторының бір жолынан оқу; 0 — стандартты кіріс",
		"взять новый PIN-код Пользователя из строки открытого дескриптора `N`; 0 — стандартный ввод",
	},
	{"`NAME` of the token", "токеннің аты, `NAME`", "имя токена `NAME`"},
	{"who may change the user PIN: user, admin or both", "Пайдаланушының ПИН кодын кім өзгерте алады: user, admin немесе both", "кто может менять PIN-код Пользователя: user, admin или both"},

	{"Look for what interrupted work left on the token", "Үзілген жұмыстың токендегі қалдықтарын іздеу", "Найти, что осталось на токене от прерванной работы"},
	{
		"Compare the files on the token with its directories, and list what does not fit: a token that was pulled out at work may hold a file or a key that nothing names, or an entry whose file is gone. It changes nothing and needs no PIN. If something is left over, the exit code is 1.",
		"Токендегі файлдарды оның каталогтарымен салыстырып, сәйкес келмейтінін тізеді: жұмыс кезінде ажыратылған токенде ешбір жазба атамайтын файл не кілт, немесе файлы жоқ жазба қалуы мүмкін. Ол ештеңені өзгертпейді және ПИН кодты қажет етпейді. Қалдық табылса, шығу коды 1 болады.",
		"Сравнить файлы на токене с его каталогами и перечислить то, что не сходится: на токене, который отключили во время работы, может остаться файл или ключ, не названный ни одной записью, или запись без файла. Ничего не меняет и PIN-кода не требует. Если что-то нашлось, код завершения 1.",
	},
	{
		"With --repair, what was found is completed where it can be and else cleared. The command names the token and asks, and the user logs in. A copy of the name in EF(DIR) that differs or is missing is written by: kaztoken rename NAME --as admin",
		"--repair болса, табылғанның толықтыруға болатыны толықтырылады, қалғаны тазаланады. Пәрмен токенді атап, сұрайды, Пайдаланушы кіреді. EF(DIR) ішіндегі аттың өзгеше немесе жоқ көшірмесін мына пәрмен жазады: kaztoken rename NAME --as admin",
		"С --repair найденное дополняется, если можно, а иначе убирается. Команда называет токен и спрашивает, входит Пользователь. Копию имени в EF(DIR), если она отличается или её нет, запишет: kaztoken rename NAME --as admin",
	},
	{
		`--json prints an object with the keys repaired, findings: an array of objects with
  kind (half_formatted, leftover_file, leftover_key, unlisted_key, missing_file,
  damaged_directory, name_differs, not_in_dir), path, directory, label, repairable`,
		`--json болса, repaired, findings кілттері бар нысан шығады; findings — нысандар
жиымы, әрқайсысында
  kind (half_formatted, leftover_file, leftover_key, unlisted_key, missing_file,
  damaged_directory, name_differs, not_in_dir), path, directory, label, repairable`,
		`С --json выводится объект с ключами repaired, findings; findings — массив
объектов с ключами
  kind (half_formatted, leftover_file, leftover_key, unlisted_key, missing_file,
  damaged_directory, name_differs, not_in_dir), path, directory, label, repairable`,
	},
	{"complete or clear what was found", "табылғанды толықтыру немесе тазалау", "дополнить или убрать найденное"},
}
