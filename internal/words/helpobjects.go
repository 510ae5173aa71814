package words

// helpObjects is the help of kaztoken object.
var helpObjects = []helpEntry{
	{"List, read, write and delete data objects", "Деректер нысандарын тізу, оқу, жазу және жою", "Перечислить, прочитать, записать и удалить объекты данных"},
	{
		"List, read, write and delete data objects: named files on the token. A private one can be read with the user PIN only.",
		"Деректер нысандарын — токендегі аты бар файлдарды — тізеді, оқиды, жазады және жояды. Жабық нысанды тек Пайдаланушының ПИН кодымен оқуға болады.",
		"Перечислить, прочитать, записать и удалить объекты данных: файлы на токене, у которых есть имя. Закрытый объект читается только с PIN-кодом Пользователя.",
	},
	{
		"An object is named by its label or a part of it, or its number in the list.",
		"Нысан белгісімен немесе оның бөлігімен, не тізімдегі нөмірімен аталады.",
		"Объект называют по метке или её части либо по номеру в списке.",
	},
	{"Delete data objects", "Деректер нысандарын жою", "Удалить объекты данных"},
	{
		"Delete data objects. The command names the token and what goes, and asks.",
		"Деректер нысандарын жояды. Пәрмен токенді және не жойылатынын атап, сұрайды.",
		"Удалить объекты данных. Команда называет токен и то, что будет удалено, и спрашивает.",
	},
	{"List the data objects on the token", "Токендегі деректер нысандарын тізу", "Перечислить объекты данных на токене"},
	{"List the data objects on the token. It needs no PIN.", "Токендегі деректер нысандарын тізеді. ПИН код қажет емес.", "Перечислить объекты данных на токене. PIN-код не нужен."},
	{
		`--json prints an array of objects with the keys
  number, label, application, oid, private, size (bytes)`,
		`--json болса, нысандар жиымы шығады, әрқайсысының кілттері:
  number, label, application, oid, private, size (байт)`,
		`С --json выводится массив объектов с ключами
  number, label, application, oid, private, size (байты)`,
	},
	{"Write what a data object holds to a file", "Деректер нысанының мазмұнын файлға жазу", "Записать содержимое объекта данных в файл"},
	{
		"Write what a data object holds to a file or to standard output. A private one needs the user PIN; only then is it asked for.",
		"Деректер нысанының мазмұнын файлға немесе стандартты шығысқа жазады. Жабық нысанға Пайдаланушының ПИН коды керек; ол тек сонда сұралады.",
		"Записать содержимое объекта данных в файл или в стандартный вывод. Для закрытого нужен PIN-код Пользователя; только тогда он и запрашивается.",
	},
	{
		"--json prints an object with the keys label, data (Base64)",
		"--json болса, мына кілттері бар нысан шығады: label, data (Base64)",
		"С --json выводится объект с ключами label, data (Base64)",
	},
	{"Put a file onto the token as a data object", "Файлды токенге деректер нысаны ретінде жазу", "Записать файл на токен как объект данных"},
	{
		"Put a file onto the token as a data object. FILE may be - for standard input; then --label is needed. Without --label the object is called like the file. An object that is called so already is left alone, unless --replace is given: then the command names the token and asks.",
		"Файлды токенге деректер нысаны ретінде жазады. FILE орнына - жазылса, стандартты кіріс оқылады; онда --label керек. --label болмаса, нысан файлдың атымен аталады. Осылай аталатын нысан бұрыннан болса, оған тиіспейді, тек --replace берілсе ғана пәрмен токенді атап, сұрайды.",
		"Записать файл на токен как объект данных. FILE может быть -, это стандартный ввод; тогда нужен --label. Без --label объект называется как файл. Объект, который уже так называется, не трогается, если не указан --replace: тогда команда называет токен и спрашивает.",
	},
	{"--json prints an object as in object list", "--json болса, object list пәрменіндегідей нысан шығады", "С --json выводится объект, как в object list"},
	{"`NAME` of the application that it belongs to", "ол тиесілі қолданбаның аты, `NAME`", "имя приложения, которому он принадлежит, `NAME`"},
	{"`NAME` of the object", "нысанның аты, `NAME`", "имя объекта `NAME`"},
	{"dotted object `IDENTIFIER`", "нысанның нүктелі идентификаторы, `IDENTIFIER`", "идентификатор объекта с точками `IDENTIFIER`"},
	{"readable with the user PIN only", "тек Пайдаланушының ПИН кодымен оқылады", "читается только с PIN-кодом Пользователя"},
	{"replace the object that is called so", "осылай аталатын нысанды ауыстыру", "заменить объект, который так называется"},
}
